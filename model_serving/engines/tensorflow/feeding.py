"""What a graph is fed: its inputs, each as one or more tensors that are made from a record's fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.engines.tensorflow.examples import features_of, serialized, without_defaults
from model_serving.engines.tensorflow.reach import node_name
from model_serving.engines.tensors.inputs import TensorInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model_serving.core.engine import RecordSchema
    from model_serving.engines.tensorflow.origins import Origins
    from model_serving.engines.tensors.model import Tensor

__all__ = ["Feeding", "feeding_of"]


@dataclass(frozen=True, slots=True)
class Feeding:
    """How a graph is fed.

    Args:
        names: the names of the graph's tensors, in the order in which they are fed.
        tensors: what they are made from: for most the tensor itself, for serialized messages its features.
        places: for each of ``tensors`` the place in ``names`` of what is made from it.
        made: turns ``tensors`` into what ``names`` are fed; None when they are the same.
        ordered: whether the order of ``tensors`` is the model's own.
        notes: warnings, a sentence each.
    """

    names: tuple[str, ...]
    tensors: tuple[TensorInput, ...]
    places: tuple[int, ...]
    made: Callable[[Sequence[Tensor]], Sequence[Tensor]] | None
    ordered: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fed:
    """One tensor of the graph, what it is made from, and how; ``make`` is None when it is the same."""

    name: str
    tensors: tuple[TensorInput, ...]
    make: Callable[[Sequence[Tensor]], Tensor] | None
    notes: tuple[str, ...] = ()


def feeding_of(
    inputs: Mapping[str, Any],
    order: Sequence[str],
    origins: Origins,
    schema: RecordSchema,
    given: Sequence[str],
) -> Feeding:
    """Returns how to feed the inputs, in their order if the model has one.

    Raises:
        ModelRejected: an input is a serialized message whose features the model does not state.
    """
    fed = [_fed(name, inputs[name], origins, schema, given) for name in (order or inputs)]
    tensors = tuple(tensor for one in fed for tensor in one.tensors)
    return Feeding(
        tuple(one.name for one in fed),
        tensors,
        tuple(place for place, one in enumerate(fed) for _ in one.tensors),
        _maker(fed) if any(one.make for one in fed) else None,
        bool(order) or len(tensors) == 1,
        tuple(note for one in fed for note in one.notes),
    )


def _fed(name: str, tensor: Any, origins: Origins, schema: RecordSchema, given: Sequence[str]) -> _Fed:
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    dtype = tensor.dtype.base_dtype
    if dtype.name == "string":
        features = features_of(origins, node_name(tensor.name))
        if not features:
            return _Fed(tensor.name, (TensorInput(name, None, shape),), None)
        taken = without_defaults(features, schema, given)
        left = [feature.tensor.name for feature in features if feature not in taken]
        note = (
            f"These features are not fields of the record and have the model's defaults: {', '.join(left)}."
        )
        tensors = tuple(feature.tensor for feature in taken)
        return _Fed(tensor.name, tensors, serialized(tensors), (note,) if left else ())
    if dtype.name == "bfloat16":
        # Numpy knows no such type: it is made from the next wider one.
        half = dtype.as_numpy_dtype
        plain = TensorInput(name, np.dtype(np.float32), shape)
        return _Fed(tensor.name, (plain,), lambda tensors: tensors[0].astype(half))
    return _Fed(tensor.name, (TensorInput(name, np.dtype(dtype.as_numpy_dtype), shape),), None)


def _maker(fed: Sequence[_Fed]) -> Callable[[Sequence[Tensor]], Sequence[Tensor]]:
    def made(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        at, feeds = 0, []
        for one in fed:
            part = tensors[at : at + len(one.tensors)]
            at += len(part)
            feeds.append(part[0] if one.make is None else one.make(part))
        return feeds

    return made
