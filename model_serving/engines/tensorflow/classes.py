"""The class names that a TensorFlow model states for its labels of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_serving.core.errors import ScoringFailed
from model_serving.engines.tensorflow.origins import SAME_VALUES
from model_serving.engines.tensorflow.reach import data_inputs
from model_serving.engines.tensors.outputs import TensorOutput

if TYPE_CHECKING:
    from model_serving.engines.tensorflow.origins import Origin, Origins
    from model_serving.engines.tensors.model import Tensor

__all__ = ["labelled", "stated_classes"]

_LOOKUPS = frozenset({"LookupTableFind", "LookupTableFindV2"})
_FILLS = frozenset(
    {
        "InitializeTable",
        "InitializeTableV2",
        "LookupTableImport",
        "LookupTableImportV2",
        "LookupTableInsertV2",
    }
)
_MOST_STEPS = 50


def stated_classes(origins: Origins, tensor: str) -> tuple[str, ...]:
    """Returns the labels that a tensor of text can give, in the order in which the model numbers them.

    They are known where the text is gathered from a constant list by its index, or looked up by it in a
    table of constants. Empty where neither is so.
    """
    function = ""
    for _ in range(_MOST_STEPS):
        found = origins.of(tensor, function)
        if len(found) != 1 or found[0].node is None:
            return ()
        place = found[0]
        given = data_inputs(place.node)
        if place.node.op in SAME_VALUES and given:
            tensor, function = given[0], place.function
        elif place.node.op in {"Gather", "GatherV2"} and given:
            return _texts(origins.constant(given[0], place.function))
        elif place.node.op in _LOOKUPS and given:
            return _from_table(origins, given[0], place.function)
        else:
            return ()
    return ()


def _from_table(origins: Origins, handle: str, function: str) -> tuple[str, ...]:
    tables = _handles(origins.of(handle, function))
    filled = []
    for place in origins.nodes():
        given = data_inputs(place.node)
        fills = place.node.op in _FILLS and len(given) == 3
        if fills and _handles(origins.of(given[0], place.function)) & tables:
            filled.append((place.function, given))
    if len(filled) != 1:
        return ()
    filling, (_, keys, values) = filled[0]
    numbers, names = origins.constant(keys, filling), _texts(origins.constant(values, filling))
    if numbers is None or numbers.dtype.kind not in "iu" or numbers.size != len(names):
        return ()
    order = np.argsort(numbers.ravel(), kind="stable")
    return tuple(names[index] for index in order)


def _handles(found: list[Origin]) -> set[tuple[str, str]]:
    return {(place.function, place.node.name) for place in found if place.node is not None}


def _texts(value: npt.NDArray[Any] | None) -> tuple[str, ...]:
    if value is None or value.dtype.kind not in "OSU" or value.ndim != 1:
        return ()
    names = [
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in value.tolist()
    ]
    return tuple(names) if len(set(names)) == len(names) else ()


def labelled(
    tf: Any,
    outputs: Mapping[str, TensorOutput],
    tensors: Mapping[str, Any],
    origins: Origins,
    fetch: Callable[[Sequence[Any]], Sequence[Tensor]],
) -> list[tuple[TensorOutput, Any]]:
    """Returns the outputs with their classes, and the tensor of each.

    An estimator's classifier gives all class names for each record, in the order of its scores. Such an
    output becomes the label: the name at the greatest score. Where it gives the label too, this one has
    these classes, and the list is left out.

    Args:
        tf: the module.
        outputs: the outputs by name.
        tensors: their tensors.
        origins: of the graph.
        fetch: gives the values of tensors for a few records that are alike.
    """
    lists = _class_lists(outputs, tensors, fetch)
    labels = [
        name for name, output in outputs.items() if output.is_text and name not in lists and output.computed
    ]
    known = set(lists.values())
    classes = known.pop() if len(known) == 1 else ()
    found = []
    for name, output in outputs.items():
        if name in lists and (labels or not classes):
            continue
        if name in lists:
            scores = _scores_for(outputs, len(classes))
            if scores is not None:
                chosen = _at_greatest(tf, tensors[name], tensors[scores])
                found.append((TensorOutput(name, 1, False, True, classes), chosen))
        elif output.is_text:
            stated = stated_classes(origins, tensors[name].name) or classes
            found.append((replace(output, classes=stated), tensors[name]))
        else:
            found.append((output, tensors[name]))
    return found


def _class_lists(
    outputs: Mapping[str, TensorOutput],
    tensors: Mapping[str, Any],
    fetch: Callable[[Sequence[Any]], Sequence[Tensor]],
) -> dict[str, tuple[str, ...]]:
    """Returns the outputs of text that give the same several names for each record, and these names."""
    wide = [name for name, output in outputs.items() if output.is_text and output.columns != 1]
    if not wide:
        return {}
    try:
        values = fetch([tensors[name] for name in wide])
    except ScoringFailed:
        # The trial of the model finds out what is wrong.
        return {}
    found = {}
    for name, value in zip(wide, values, strict=True):
        if value.ndim == 2 and value.shape[1] > 1 and (value == value[0]).all():
            names = _texts(value[0])
            if names:
                found[name] = names
    return found


def _scores_for(outputs: Mapping[str, TensorOutput], count: int) -> str | None:
    fitting = [
        name
        for name, output in outputs.items()
        if output.is_float and output.columns in {None, count} and output.computed
    ]
    return fitting[0] if len(fitting) == 1 else None


def _at_greatest(tf: Any, names: Any, scores: Any) -> Any:
    with scores.graph.as_default():
        return tf.gather(names, tf.argmax(scores, axis=1), axis=1, batch_dims=1)
