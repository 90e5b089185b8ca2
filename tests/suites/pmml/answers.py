"""Compares what a model says about a record with the answer of the reference evaluator."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from model_serving.core.engine import Scores

__all__ = ["differs", "faults"]

_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


def faults(expected: Mapping[str, Any] | None, target: str | None, found: Scores | str) -> Iterable[str]:
    """Gives what is wrong with the scores of a single record, a text each.

    Args:
        expected: the reference's values by name; None when it gives no result.
        target: the name of the target among them; None for a model without one.
        found: the scores, or the text of the error.
    """
    if isinstance(found, str):
        if _wanted(expected, target) is not None:
            yield f"fails: {found}"
        return
    wanted = _wanted(expected, target)
    if wanted is None:
        if (expected is None or (target or "null") in expected) and _says_something(found):
            yield f"{_said(found)} where there is no result"
    elif found.labels is not None:
        if not _is_label(found.labels[0], wanted):
            yield f"'{found.labels[0]}' instead of '{wanted}'"
    elif not _is_close(found.result[0], wanted):
        yield f"{_said(found)} instead of {wanted!r}"
    yield from _wrong_outputs(expected or {}, found)


def differs(together: Scores, place: int, alone: Scores) -> bool:
    """Whether a record has other scores in a batch, at this place, than alone."""
    if together.labels is not None and alone.labels is not None and together.labels[place] != alone.labels[0]:
        return True
    pairs = [(together.result[place], alone.result[0])]
    pairs += [(values[place], alone.outputs[name][0]) for name, values in together.outputs.items()]
    return not all(
        a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= 1e-9 * max(1.0, abs(a)) for a, b in pairs
    )


def _wanted(expected: Mapping[str, Any] | None, target: str | None) -> Any:
    """Returns the reference's value of the target, None when it gives none or an error."""
    wanted = (expected or {}).get(target or "null")
    return None if isinstance(wanted, str) and wanted.startswith("!") else wanted


def _wrong_outputs(expected: Mapping[str, Any], found: Scores) -> Iterable[str]:
    for name, value in expected.items():
        ours = found.outputs.get(f"probability_{name[2:-1]}" if name.startswith("P(") else name)
        if ours is None or isinstance(value, (str, bool)):
            continue
        if value is None:
            if not math.isnan(ours[0]):
                yield f"{name} is {float(ours[0])!r} instead of nothing"
        elif not _is_close(ours[0], value):
            yield f"{name} is {float(ours[0])!r} instead of {value!r}"


def _says_something(found: Scores) -> bool:
    return not math.isnan(found.result[0]) or bool(found.labels and found.labels[0])


def _said(found: Scores) -> str:
    return repr(float(found.result[0])) if found.labels is None else f"'{found.labels[0]}'"


def _is_label(label: str, wanted: Any) -> bool:
    if isinstance(wanted, bool):
        return label.lower() == str(wanted).lower()
    if label == str(wanted):
        return True
    try:
        return float(label) == float(wanted)
    except (TypeError, ValueError):
        return False


def _is_close(ours: float, wanted: Any) -> bool:
    try:
        number = float(wanted)
    except (TypeError, ValueError):
        return False
    return ours == number or abs(ours - number) <= max(_RELATIVE * abs(number), _ABSOLUTE)
