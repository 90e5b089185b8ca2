"""Parts that the tests of interleavings share: model messages, and a reference for their outcomes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from hypothesis import strategies as st

from model_serving.core.messages import Command, ModelMessage, ModelType
from model_serving.testing import Script

__all__ = [
    "DATA_TYPES",
    "GOOD_MODELS",
    "KEEP",
    "MESSAGES",
    "POISON",
    "SCRIPTS",
    "THRESHOLD",
    "XS",
    "Answer",
    "ReferenceAdmission",
    "ReferenceServing",
    "examples",
]

KEEP = 2
THRESHOLD = 2
POISON = 3.0
SCRIPTS = {
    b"plus 100": Script(offset=100),
    b"plus 200": Script(offset=200),
    b"plus 300, but not 3": Script(offset=300, poison=POISON),
    b"nothing for 3": Script(offset=400, nothing=POISON),
    b"does not load": Script(load_error="not a model"),
    b"fails on zeros": Script(poison=0.0),
}

DATA_TYPES = st.sampled_from(["wine", "beer"])
XS = st.sampled_from([1.0, 2.0, POISON])
GOOD_MODELS, MESSAGES = (
    st.builds(
        ModelMessage,
        data_type=DATA_TYPES,
        name=st.just("model"),
        model_type=st.just(ModelType.PMML),
        data=st.sampled_from(contents),
        version=st.sampled_from(["", "v1", "v2"]),
        command=st.sampled_from(commands),
    )
    for contents, commands in (
        ([b"plus 100", b"plus 300, but not 3", b"nothing for 3"], [Command.DEPLOY]),
        (sorted(SCRIPTS), [Command.DEPLOY, Command.DEPLOY, Command.DEPLOY, Command.ROLLBACK, Command.REMOVE]),
    )
)

Answer = tuple[int, str]
"""A record's number and its outcome."""


def examples(count: int) -> int:
    """Returns how many interleavings to try: ``count``, times MODEL_SERVING_EXAMPLES if that is set."""
    return count * int(os.environ.get("MODEL_SERVING_EXAMPLES", "1"))


class ReferenceAdmission:
    """A plain model of admission. ``kept``: data type → (version, content), of which the last one serves.

    While ``away``, no model can be tried.
    """

    def __init__(self) -> None:
        self.kept: dict[str, list[tuple[str, bytes]]] = {}
        self.away = False

    def offer(self, message: ModelMessage) -> str:
        """The outcome of a model message."""
        kept = self.kept.setdefault(message.data_type, [])
        if message.command is Command.REMOVE:
            return (
                "rejected" if not kept else f"serves nothing, not {self.kept.pop(message.data_type)[-1][0]}"
            )
        if message.command is Command.ROLLBACK:
            if len(kept) < 2 or (message.version and message.version != kept[-1][0]):
                return "rejected"
            bad, _ = kept.pop()
            return f"serves {kept[-1][0]}, not {bad}"
        content = message.data or b""
        version = message.version or hashlib.sha256(content).hexdigest()[:12]
        script = SCRIPTS[content]
        # A model is tried on a record of zeros.
        if (
            self.away
            or script.load_error
            or script.poison == 0
            or dict(kept).get(version, content) != content
        ):
            return "rejected"
        before = kept[-1][0] if kept and kept[-1][0] != version else ""
        kept[:] = [*[pair for pair in kept if pair[0] != version][1 - KEEP :], (version, content)]
        return f"serves {version}, not {before}"


class ReferenceServing:
    """A plain model of serving: active (version, content), and up to ``limit`` waiting records per data type.

    While the models are ``away``, any number of records waits. ``_streaks`` are the failures in a row of the
    model of each data type; None: they are not counted.
    """

    def __init__(self, limit: int = 0) -> None:
        self.active: dict[str, tuple[str, bytes]] = {}
        self.waiting: dict[str, list[tuple[int, float]]] = {}
        self.away = False
        self._streaks: dict[str, int | None] = {}
        self._limit = limit

    def activate(
        self, data_type: str, model: tuple[str, bytes] | None, *, fallback: bool
    ) -> tuple[list[Answer], list[str]]:
        """The outcomes of the records that waited, and the versions that are to be taken back."""
        if model is None:
            del self.active[data_type]
            return [], []
        self.active[data_type] = model
        self._streaks[data_type] = None if fallback else 0
        return self.serve(data_type, self.waiting.pop(data_type, []))

    def retry(self, data_type: str) -> tuple[list[Answer], list[str]]:
        """The same for records that waited, when the models are asked again."""
        if self.away or data_type not in self.active:
            return [], []
        return self.serve(data_type, self.waiting.pop(data_type, []))

    def is_full(self, data_type: str) -> bool:
        """Whether as many records wait for a model that is away as may, or more."""
        return data_type in self.active and 0 < self._limit <= len(self.waiting.get(data_type, ()))

    def restart(self) -> None:
        """Forgets the failures, as a restart does."""
        self._streaks = dict.fromkeys(self.active, 0)

    def serve(self, data_type: str, records: Sequence[tuple[int, float]]) -> tuple[list[Answer], list[str]]:
        """The outcomes of the records, and the versions that are to be taken back."""
        if data_type not in self.active:
            waiting = self.waiting.setdefault(data_type, [])
            room = max(0, self._limit - len(waiting))
            waiting += records[:room]
            return [(number, "no model") for number, _ in records[room:]], []
        if self.away or self.waiting.get(data_type):
            self.waiting.setdefault(data_type, []).extend(records)
            return [], []
        version, content = self.active[data_type]
        script = SCRIPTS[content]
        answers: list[Answer] = []
        failing: list[str] = []
        for number, x in records:
            fails = x in (script.poison, script.nothing)
            answers.append((number, f"{version} fails" if fails else f"{version}: {x + script.offset:g}"))
            streak = self._streaks[data_type]
            if streak is not None:
                self._streaks[data_type] = streak + 1 if fails else 0
            if self._streaks[data_type] == THRESHOLD:
                self._streaks[data_type] = None
                failing.append(version)
        return answers, failing
