"""What the `flink` command tells the job's script, which Flink starts as another process."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from model_serving.runtime.variables import variable
from model_serving.stores.models import without_credentials

__all__ = ["VARIABLE", "Handover"]

VARIABLE = variable("preflight")
"""Carries the handover. Where it is set, flags and broker were checked before Java was started."""


@dataclass(frozen=True, slots=True)
class Handover:
    """The largest messages that the topics take, in bytes, and how the job was called.

    ``again`` are the words after ``flink run -s SNAPSHOT`` that start the same job again, ``shared_groups``
    the consumer groups of which the user was told that others read in them.
    """

    dead_letter_limit: int
    result_limit: int
    again: tuple[str, ...]
    shared_groups: tuple[str, ...] = ()

    def way_on(self, snapshot: str) -> str:
        """The command that goes on from a savepoint or checkpoint, to be pasted into a shell.

        Credentials in URLs are left out of it: it is printed.
        """
        words = (without_credentials(word) if "://" in word else word for word in self.again)
        return shlex.join(["flink", "run", "-s", snapshot, *words])

    def text(self) -> str:
        """What the variable holds."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(environ: Mapping[str, str]) -> Handover | None:
        """What was handed over; None when the script was started by itself."""
        text = environ.get(VARIABLE)
        if not text:
            return None
        values = json.loads(text)
        return Handover(
            values["dead_letter_limit"],
            values["result_limit"],
            tuple(values["again"]),
            tuple(values["shared_groups"]),
        )
