"""Shared by the tests of interleavings: model messages, and a reference implementation of their outcome."""

from __future__ import annotations

import hashlib
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
"""A record's number, and its outcome."""


class ReferenceAdmission:
    """The reference for admission. ``kept`` has (version, content) of each data type; the last one serves."""

    def __init__(self) -> None:
        self.kept: dict[str, list[tuple[str, bytes]]] = {}

    def offer(self, message: ModelMessage) -> str:
        """Returns the outcome of a model message."""
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
        if script.load_error or script.poison == 0 or dict(kept).get(version, content) != content:
            return "rejected"
        before = kept[-1][0] if kept and kept[-1][0] != version else ""
        kept[:] = [*[pair for pair in kept if pair[0] != version][1 - KEEP :], (version, content)]
        return f"serves {version}, not {before}"


class ReferenceServing:
    """The reference for serving: active (version, content), and up to ``limit`` records waiting for a model.

    ``streaks`` are the failures in a row of the model that serves a data type; None if they are not counted.
    """

    def __init__(self, limit: int = 0) -> None:
        self.active: dict[str, tuple[str, bytes]] = {}
        self.waiting: dict[str, list[tuple[int, float]]] = {}
        self._streaks: dict[str, int | None] = {}
        self._limit = limit

    def activate(
        self, data_type: str, model: tuple[str, bytes] | None, *, fallback: bool
    ) -> tuple[list[Answer], list[str]]:
        """Returns the outcome of the records that waited, and the versions that must be taken back."""
        if model is None:
            del self.active[data_type]
            return [], []
        self.active[data_type] = model
        self._streaks[data_type] = None if fallback else 0
        return self.serve(data_type, self.waiting.pop(data_type, []))

    def restart(self) -> None:
        """Forgets the failures before a restart."""
        self._streaks = dict.fromkeys(self.active, 0)

    def serve(self, data_type: str, records: Sequence[tuple[int, float]]) -> tuple[list[Answer], list[str]]:
        """Returns the outcome of the records, and the versions that must be taken back."""
        if data_type not in self.active:
            waiting = self.waiting.setdefault(data_type, [])
            room = self._limit - len(waiting)
            waiting += records[:room]
            return [(number, "no model") for number, _ in records[room:]], []
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
