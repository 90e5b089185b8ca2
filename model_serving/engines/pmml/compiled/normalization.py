"""The inputs of a neural network: fields, piecewise linear functions of fields, or flags of categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.compiled.reading import NotCompiled, check, number, only, optional_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.compiled.fields import Fields, Numbers

__all__ = ["Inputs", "Line", "read_input", "read_line"]

_OUTLIERS = frozenset({"asIs", "asMissingValues", "asExtremeValues"})


@dataclass(frozen=True, slots=True)
class Line:
    """A piecewise linear function that maps the points ``start`` to the points ``end``.

    Like PMML4S, it computes ``x * slope + intercept`` and, backwards, ``(x - intercept) / slope``.
    """

    start: Numbers
    end: Numbers
    slopes: Numbers
    intercepts: Numbers
    outliers: str
    backwards: bool = False

    @property
    def is_straight(self) -> bool:
        """Whether one slope and one intercept are right for every value."""
        return len(self.slopes) == 1 and self.outliers == "asIs" and not self.backwards

    def turned_round(self) -> Line:
        """Returns the inverse function.

        Raises:
            NotCompiled: the function does not rise everywhere, and PMML4S inverts only functions that do.
        """
        if (np.diff(self.end) <= 0.0).any():
            raise NotCompiled("a NormContinuous that does not rise")
        return Line(self.end, self.start, self.slopes, self.intercepts, self.outliers, backwards=True)

    def apply(self, values: Numbers) -> Numbers:
        """Returns the function of every value; NaN stays NaN."""
        pieces = np.clip(np.searchsorted(self.start, values, side="left") - 1, 0, len(self.slopes) - 1)
        slopes, intercepts = self.slopes.take(pieces), self.intercepts.take(pieces)
        made: Numbers = (values - intercepts) / slopes if self.backwards else values * slopes + intercepts
        below, above = values < self.start[0], values > self.start[-1]
        if self.outliers == "asMissingValues":
            made[below | above] = np.nan
        elif self.outliers == "asExtremeValues":
            made[below], made[above] = self.end[0], self.end[-1]
        made[np.isnan(values)] = np.nan
        return made


def read_line(element: Element) -> Line:
    """Reads a NormContinuous. The caller reads ``mapMissingTo``, the value for missing values.

    Raises:
        NotCompiled: there are fewer than two points, or they are not in order.
    """
    if element.tag != "NormContinuous":
        raise NotCompiled(f"{element.tag} for a number")
    norms = check(element, {"field", "mapMissingTo", "outliers"}, ("LinearNorm",))
    for norm in norms:
        check(norm, {"orig", "norm"})
    start = np.array([number(norm.get("orig")) for norm in norms])
    end = np.array([number(norm.get("norm")) for norm in norms])
    outliers = element.get("outliers", "asIs")
    if len(norms) < 2 or (np.diff(start) <= 0.0).any() or outliers not in _OUTLIERS:
        raise NotCompiled(f"a NormContinuous of {len(norms)} points, outliers {outliers}")
    steps = start[1:] - start[:-1]
    slopes = (end[1:] - end[:-1]) / steps
    intercepts = (end[:-1] * start[1:] - end[1:] * start[:-1]) / steps
    return Line(start, end, slopes, intercepts, outliers)


class Inputs:
    """Computes all input neurons at once."""

    def __init__(
        self,
        columns: Sequence[int],
        slopes: Sequence[float],
        intercepts: Sequence[float],
        others: Mapping[int, Callable[[Numbers], Numbers]],
    ) -> None:
        """Creates the inputs; ``others`` has functions, by index, for those that are not a straight line."""
        self._columns = list(columns)
        self._slopes = np.array(slopes)
        self._intercepts = np.array(intercepts)
        self._others = others

    def normalized(self, values: Numbers) -> Numbers:
        """Returns the input neurons for values of shape (n, fields): shape (n, inputs), NaN for missing."""
        made = values.take(self._columns, axis=1)
        for place, function in self._others.items():
            made[:, place] = function(made[:, place])
        made *= self._slopes
        made += self._intercepts
        return made


def read_input(
    element: Element, dictionary: Mapping[str, Element], fields: Fields
) -> tuple[Inputs, list[str]]:
    """Reads NeuralInputs and returns the inputs and their ids.

    Raises:
        NotCompiled: an input is not known exactly.
    """
    ids, columns, slopes, intercepts, others = [], [], [], [], dict[int, "Callable[[Numbers], Numbers]"]()
    for place, item in enumerate(check(element, {"numberOfInputs"}, ("NeuralInput",))):
        derived = only(check(item, {"id"}, ("DerivedField",)), "DerivedField")
        if derived is None or derived.get("dataType") not in {"double", "float"}:
            raise NotCompiled("an input that is not derived as a double")
        if derived.get("name") in dictionary:
            # PMML4S would take the field itself.
            raise NotCompiled("an input with the name of a field")
        known = {"name", "displayName", "optype", "dataType"}
        expressions = check(derived, known, ("FieldRef", "NormContinuous", "NormDiscrete"))
        if len(expressions) != 1:
            raise NotCompiled("an input without its expression")
        column, slope, intercept, function = _read_expression(expressions[0], fields)
        ids.append(item.get("id", ""))
        columns.append(column)
        slopes.append(slope)
        intercepts.append(intercept)
        if function is not None:
            others[place] = function
    if not ids or len(set(ids)) < len(ids):
        raise NotCompiled("no inputs, or an id twice")
    return Inputs(columns, slopes, intercepts, others), ids


def _read_expression(
    element: Element, fields: Fields
) -> tuple[int, float, float, Callable[[Numbers], Numbers] | None]:
    """Returns an input's column, slope, intercept, and the function that is applied before them."""
    missing = optional_number(element.get("mapMissingTo"))
    replacement = np.nan if missing is None else missing
    if element.tag == "NormDiscrete":
        check(element, {"field", "value", "mapMissingTo"})
        field = fields.named(element.get("field"))
        wanted = field.code(element.get("value", ""))
        return (
            field.column,
            1.0,
            0.0,
            lambda values: np.where(np.isnan(values), replacement, values == wanted),
        )
    field = fields.continuous(element.get("field"))
    if element.tag == "FieldRef":
        check(element, {"field"})
        return field.column, 1.0, 0.0, None
    line = read_line(element)
    field.numbers.extend(line.start.tolist())
    if line.is_straight and missing is None:
        return field.column, float(line.slopes[0]), float(line.intercepts[0]), None

    def on_line(values: Numbers) -> Numbers:
        made = line.apply(values)
        made[np.isnan(values)] = replacement
        return made

    return field.column, 1.0, 0.0, on_line
