"""The target of a model: its classes, or the rescaling of a predicted number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.compiled.class_order import map_order
from model_serving.engines.pmml.compiled.reading import (
    NOTHING,
    NotCompiled,
    check,
    number,
    only,
    optional_number,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.fields import Numbers

__all__ = ["Rescaling", "Target", "read_target"]

_CASTS = frozenset({"round", "ceiling", "floor"})


@dataclass(frozen=True, slots=True)
class Rescaling:
    """Limits, factor, constant and rounding, in this order (PMML: ``Target``)."""

    low: float
    high: float
    factor: float
    constant: float
    cast: str | None

    def apply(self, values: Numbers) -> Numbers:
        """Returns the rescaled numbers."""
        made: Numbers = np.clip(values, self.low, self.high) * self.factor + self.constant
        if self.cast == "round":
            # As in Java, halves are rounded up and the result is a long. NaN stays NaN.
            return np.where(np.isnan(made), made, np.clip(np.floor(made + 0.5), -(2.0**63), 2.0**63))
        if self.cast == "ceiling":
            return np.ceil(made)
        return np.floor(made) if self.cast == "floor" else made


@dataclass(frozen=True, slots=True)
class Target:
    """A target. ``classes`` is None for a regression, else has PMML4S's types: text, ``int`` or ``float``."""

    name: str
    data_type: str
    classes: tuple[str | int | float, ...] | None
    labels: tuple[str, ...] = ()
    rescaling: Rescaling | None = None

    def index(self, text: str) -> int:
        """Returns the index of a class that the document names.

        Raises:
            NotCompiled: the target does not list the class.
        """
        try:
            return self.labels.index(text)
        except ValueError:
            pass
        if self.data_type != "string" and self.classes is not None:
            value = number(text)
            if value in self.classes:
                return self.classes.index(value)
        raise NotCompiled(f"the class '{text}', which the target does not list")

    def order(self, indices: Sequence[int] | None = None) -> list[int]:
        """Returns the classes in the order in which PMML4S looks for the greatest probability.

        Args:
            indices: the classes in the order in which PMML4S puts them in its map; the target's order if
                not given.
        """
        classes = self.classes or ()
        inserted = range(len(classes)) if indices is None else indices
        return [list(inserted)[place] for place in map_order([classes[index] for index in inserted])]


def read_target(
    model: Element, parts: Collection[Element], dictionary: Mapping[str, Element], targets: Sequence[str]
) -> Target:
    """Reads the target of the whole model.

    Raises:
        NotCompiled: there is no target, there are several, or it is not known exactly.
    """
    if len(targets) != 1 or targets[0] not in dictionary:
        raise NotCompiled(f"{len(targets)} targets")
    (name,) = targets
    data = dictionary[name]
    data_type, optype = data.get("dataType", ""), data.get("optype")
    rescaling = _read_rescaling(only(parts, "Targets"), name)
    function = model.get("functionName")
    if function == "regression":
        if optype != "continuous" or data_type not in {"double", "float", "integer"}:
            raise NotCompiled(f"a regression of optype {optype} and dataType {data_type}")
        return Target(name, data_type, None, rescaling=rescaling)
    if function != "classification" or optype != "categorical" or rescaling is not None:
        raise NotCompiled(f"{function} with a target of optype {optype}")
    values = check(data, data.attrib.keys(), ("Value",))
    if any(value.get("property", "valid") != "valid" for value in values):
        raise NotCompiled("classes that are not valid")
    labels = tuple(value.get("value", "") for value in values)
    if data_type == "string":
        classes: tuple[str | int | float, ...] = labels
    elif data_type == "integer":
        classes = tuple(int(number(label)) for label in labels)
    elif data_type == "double":
        classes = tuple(number(label) for label in labels)
    else:
        raise NotCompiled(f"classes of dataType {data_type}")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise NotCompiled(f"the classes {labels}")
    return Target(name, data_type, classes, labels)


def _read_rescaling(element: Element | None, name: str) -> Rescaling | None:
    if element is None:
        return None
    target = only(check(element, NOTHING, ("Target",)), "Target")
    if target is None or target.get("field") != name:
        raise NotCompiled("Targets that do not name the target")
    known = {"field", "optype", "castInteger", "min", "max", "rescaleConstant", "rescaleFactor"}
    check(target, known)
    cast = target.get("castInteger")
    if target.get("optype", "continuous") != "continuous" or (cast is not None and cast not in _CASTS):
        raise NotCompiled(f"a target cast by {cast}")
    low, high = optional_number(target.get("min")), optional_number(target.get("max"))
    return Rescaling(
        -np.inf if low is None else low,
        np.inf if high is None else high,
        number(target.get("rescaleFactor", "1")),
        number(target.get("rescaleConstant", "0")),
        cast,
    )
