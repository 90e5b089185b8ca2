"""Passes the findings of the `flink` command to the job's script, which Flink starts as another process."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from model_serving.runtime.variables import variable
from model_serving.stores.models import without_credentials

__all__ = ["VARIABLE", "Handover"]

VARIABLE = variable("preflight")
"""The environment variable with the handover. If it is set, flags and broker have been checked already."""


@dataclass(frozen=True, slots=True)
class Handover:
    """The largest messages that the topics take, in bytes, and how the job was started.

    ``again`` are the words after ``flink run -s SNAPSHOT`` that start the same job again. ``shared_groups``
    are the consumer groups that others read in, as the user has already been told.
    """

    dead_letter_limit: int
    result_limit: int
    again: tuple[str, ...]
    shared_groups: tuple[str, ...] = ()

    def way_on(self, snapshot: str) -> str:
        """The command that goes on from a savepoint or checkpoint, quoted for a shell.

        Credentials in URLs are left out, because the command is printed.
        """
        words = (without_credentials(word) if "://" in word else word for word in self.again)
        return shlex.join(["flink", "run", "-s", snapshot, *words])

    def text(self) -> str:
        """The value of the environment variable."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(environ: Mapping[str, str]) -> Handover | None:
        """The handover in the environment; None when the script was not started by the `flink` command."""
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
