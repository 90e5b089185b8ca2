"""Names of fields, and what they stand for: inputs, derived fields, outputs of models."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Protocol

from model_serving.engines.pmml.evaluator.nesting import Nesting
from model_serving.engines.pmml.evaluator.reading import TooLarge, Unsupported
from model_serving.engines.pmml.evaluator.symbols import Symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.data_types import Kind
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Expression", "Field", "Program", "Scope"]

_MOST_FIELDS = 200_000
_MOST_CALLS = 20_000
_MOST_EXPRESSIONS = 2_000_000


class Expression(Protocol):
    """Computes a value for each record of a batch."""

    @property
    def kind(self) -> Kind:
        """The type of the values."""
        ...

    def evaluate(self, batch: Batch) -> Numbers:
        """Returns the values, shape (n,), NaN for missing. They are not changed afterwards."""
        ...

    def one(self, record: Record) -> float:
        """Returns the value for one record alone.

        Raises:
            Undecided: only the batch can tell (see ``record``).
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field.

    ``values`` are its declared valid values in order. ``expression`` is None for an input, and ``column`` is
    the input's place among the columns of a batch, else -1.
    """

    name: str
    kind: Kind
    slot: int
    expression: Expression | None = None
    values: tuple[float, ...] = ()
    column: int = -1

    def evaluate(self, batch: Batch) -> Numbers:
        """A field is an expression too."""
        return batch.value(self)

    def one(self, record: Record) -> float:
        """Returns the value for one record alone, which is computed once."""
        if self.column >= 0:
            return record.row[self.column]
        found = record.known.get(self.slot)
        if found is None:
            found = nan if self.expression is None else self.expression.one(record)
            record.known[self.slot] = found
        return found


class Program:
    """What all parts of one compiled document share: texts, slots for values, functions, warnings."""

    def __init__(self, functions: Mapping[str, Element] | None = None) -> None:
        self.symbols = Symbols()
        self.functions: Mapping[str, Element] = functions or {}
        self.warnings: list[str] = []
        self.slots = 0
        self.models = 0
        self.calls: dict[tuple[object, ...], Expression] = {}
        """The compiled calls of the document's functions, by function and arguments."""
        self.calling: list[str] = []
        """The functions that are being compiled, each called by the one before."""
        self.shared: dict[tuple[object, ...], object] = {}
        """What several expressions share, such as the index of the words of a text."""
        self.nesting = Nesting()
        self._expressions = 0
        self._calls = 0

    def field(
        self,
        name: str,
        kind: Kind,
        expression: Expression | None = None,
        values: tuple[float, ...] = (),
        column: int = -1,
    ) -> Field:
        """Returns a new field with a slot of its own.

        Raises:
            Unsupported: there are too many.
        """
        if self.slots >= _MOST_FIELDS:
            raise TooLarge(f"more than {_MOST_FIELDS:,} fields")
        self.slots += 1
        return Field(name, kind, self.slots - 1, expression, values, column)

    def model_index(self) -> int:
        """Returns the next index of a model in the document."""
        self.models += 1
        return self.models - 1

    def count_expression(self) -> None:
        """Counts an expression, so that functions that call functions cannot grow without a limit.

        Raises:
            Unsupported: there are too many.
        """
        self._expressions += 1
        if self._expressions > _MOST_EXPRESSIONS:
            raise TooLarge(f"more than {_MOST_EXPRESSIONS:,} expressions once its functions are called")

    def count_call(self) -> None:
        """Counts a compiled call of a function that the document defines.

        Raises:
            Unsupported: there are too many: each function may call others several times.
        """
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise Unsupported(
                f"functions that come to more than {_MOST_CALLS:,} different calls of functions"
            )

    def warn(self, text: str) -> None:
        """Keeps a warning for whoever publishes the model; each text once."""
        if text not in self.warnings:
            self.warnings.append(text)


class Scope:
    """The fields that a part of a document sees: its own, then those of the part around it."""

    def __init__(self, program: Program, parent: Scope | None = None) -> None:
        self.program = program
        self._parent = parent
        self._fields: dict[str, Field] = {}
        self._later: dict[str, tuple[Callable[[], Field], Callable[[], Iterable[str]]]] = {}
        self._being_read: set[str] = set()

    def find(self, name: str) -> Field | None:
        """Returns the field with this name, None when there is none. A derived field is read at first use.

        Raises:
            Unsupported: the derived field has a part that is not known, or it depends on itself.
        """
        scope: Scope | None = self
        while scope is not None:
            found = scope._own(name)  # noqa: SLF001
            if found is not None:
                return found
            scope = scope._parent  # noqa: SLF001
        return None

    def field(self, name: str | None) -> Field:
        """Returns the field with this name.

        Raises:
            Unsupported: there is none (see also ``find``).
        """
        found = None if name is None else self.find(name)
        if found is None:
            raise Unsupported(f"the field '{name}', which is declared nowhere")
        self.program.nesting.stand_on(found)
        return found

    def declare(self, field: Field) -> Field:
        """Adds a field; one with the same name that is already there is hidden."""
        self._fields[field.name] = field
        return field

    def declare_as(self, name: str, field: Field) -> None:
        """Adds a field under another name."""
        self._fields[name] = field

    def declare_later(
        self, name: str, read: Callable[[], Field], needs: Callable[[], Iterable[str]] = tuple
    ) -> None:
        """Adds a field that is read at its first use; ``needs`` gives the names of fields to read before."""
        self._later[name] = (read, needs)

    def names(self) -> set[str]:
        """Returns the names of this scope's own fields."""
        return {*self._fields, *self._later}

    def inner(self) -> Scope:
        """Returns a scope inside of this one."""
        return Scope(self.program, self)

    def _own(self, name: str) -> Field | None:
        found = self._fields.get(name)
        if found is None and name in self._later:
            if name in self._being_read:
                return None  # a derived field may take the name of the field that it is made from
            for needed in self._unread(name):
                self._being_read.add(needed)
                try:
                    self._fields[needed] = self._later[needed][0]()
                finally:
                    self._being_read.discard(needed)
            found = self._fields[name]
        return found

    def _unread(self, name: str) -> list[str]:
        """Returns the fields to read for a field, itself last, so that none is read through many others."""
        order: list[str] = []
        seen = {name}
        waiting: list[tuple[str, bool]] = [(name, False)]
        while waiting:
            one, is_ready = waiting.pop()
            if is_ready:
                order.append(one)
                continue
            waiting.append((one, True))
            for needed in self._later[one][1]():
                unread = needed in self._later and needed not in self._fields
                if unread and needed not in seen and needed not in self._being_read:
                    seen.add(needed)
                    waiting.append((needed, False))
        return order
