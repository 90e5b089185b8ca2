"""Keeps expressions that are nested deeply, or built on each other, within Python's limit of calls.

Each level of expressions takes some calls, at load and when a batch is scored, and Python allows a thousand.
So every ``STAGE`` levels a value becomes a field of its own, a stage, and what lies above computes its stages
first, the lowest first: no value is ever computed through more than ``STAGE`` levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.reading import Unsupported

if TYPE_CHECKING:
    from collections.abc import Collection
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression, Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["STAGE", "Nesting", "Staged", "deep_parts"]

STAGE = 40
_DEEPEST = 80


@dataclass(frozen=True, slots=True)
class Staged:
    """An expression whose stages are computed before it."""

    kind: Kind
    stages: tuple[Field, ...]
    inner: Expression

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        for stage in self.stages:
            batch.prepare(stage)
        return self.inner.evaluate(batch)

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        for stage in self.stages:
            stage.one(record)
        return self.inner.one(record)


class _Level:
    """What an expression that is being compiled stands on: how many levels, and which stages."""

    __slots__ = ("height", "stages")

    def __init__(self) -> None:
        self.height = 0
        self.stages: dict[Field, None] = {}


class Nesting:
    """Counts the levels of expressions while a document is compiled."""

    def __init__(self) -> None:
        self._open: list[_Level] = []
        self._fields: dict[int, tuple[int, tuple[Field, ...]]] = {}
        self.prepared: dict[int, Field] = {}
        """The values of deep parts of an expression, by the identity of their elements."""

    @property
    def is_outermost(self) -> bool:
        """Whether no expression is being compiled."""
        return not self._open

    def enter(self) -> None:
        """Begins an expression.

        Raises:
            Unsupported: it is too deep within others.
        """
        if len(self._open) >= _DEEPEST:
            raise Unsupported(f"functions or fields that are built on each other more than {_DEEPEST} deep")
        self._open.append(_Level())

    def leave(self) -> tuple[int, tuple[Field, ...]]:
        """Ends an expression, and returns its height and its stages."""
        level = self._open.pop()
        return level.height, tuple(level.stages)

    def stand(self, height: int, stages: tuple[Field, ...]) -> None:
        """Counts that the current expression stands on another, of this height and with these stages."""
        if self._open:
            around = self._open[-1]
            around.height = max(around.height, height + 1)
            around.stages.update(dict.fromkeys(stages))

    def stand_on(self, field: Field) -> None:
        """Counts a field that the current expression uses."""
        known = self._fields.get(field.slot)
        if known is not None:
            self.stand(*known)

    def keep(self, field: Field, height: int, stages: tuple[Field, ...]) -> None:
        """Keeps what a new field stands on."""
        self._fields[field.slot] = (height, stages)

    def keep_current(self, field: Field) -> None:
        """Keeps that a new field stands on all that the current expression has used so far."""
        if self._open:
            around = self._open[-1]
            self._fields[field.slot] = (around.height, tuple(around.stages))


def deep_parts(element: Element, tags: Collection[str]) -> list[Element]:
    """Returns the parts with one of these tags that lie every ``STAGE`` levels deep, the deepest first."""
    found: list[tuple[int, Element]] = []
    waiting = [(0, element)]
    while waiting:
        level, part = waiting.pop()
        if level and level % STAGE == 0 and part.tag in tags:
            found.append((level, part))
        waiting.extend((level + 1, child) for child in part)
    found.sort(key=lambda one: -one[0])
    return [part for _, part in found]
