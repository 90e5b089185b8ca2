"""``Constant``: the same value for every record (PMML 4.4: Transformations)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import DOUBLE, INTEGER, STRING, Kind, constant
from model_serving.engines.pmml.evaluator.reading import children, decimal

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Constant", "read_constant"]


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every record."""

    kind: Kind
    value: float

    def evaluate(self, batch: Batch) -> Numbers:
        """See ``Expression.evaluate``."""
        return np.full(batch.n, self.value)

    def one(self, record: Record) -> float:
        """See ``Expression.one``."""
        return self.value


def read_constant(element: Element, scope: Scope) -> Expression:
    """Reads a Constant.

    Raises:
        Unsupported: a part of it is not known, or its text does not spell a value of its type.
    """
    children(element, {"dataType", "missing"})
    text = element.text or ""
    data_type = element.get("dataType")
    if element.get("missing") in {"true", "1"}:
        return Constant(Kind(data_type or "double", "continuous"), np.nan)
    if data_type is None:
        kind = _kind_of(text)
        return Constant(kind, constant(text, kind.data_type, scope.program.symbols))
    if data_type in {"double", "float"} and text.strip() == "NaN":
        return Constant(DOUBLE, np.nan)
    optype = "categorical" if data_type in {"string", "boolean"} else "continuous"
    return Constant(Kind(data_type, optype), constant(text, data_type, scope.program.symbols))


def _kind_of(text: str) -> Kind:
    """Returns the type of a constant without dataType, told from its text as the standard does."""
    try:
        decimal(text)
    except ValueError:
        return STRING
    return INTEGER if text.strip().lstrip("+-").isdigit() else DOUBLE
