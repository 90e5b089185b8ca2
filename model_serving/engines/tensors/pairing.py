"""Decides which field of a record goes into which input of a TensorFlow or ONNX model.

1. Text inputs take text fields, the others take numbers. Each kind is paired by itself, from the fields that
   the message names in ``inputs``, or else from all fields of the record type, in the record's order.
2. Inputs of one field that have the name of a field take it. If all have, the inputs of several fields share
   what is left, by their widths.
3. Otherwise the fields are dealt out in the order in which the model takes its inputs, by their widths. An
   input that would so get another field than the one of its name is refused.
4. Where the model has no such order (``ordered`` is false, as for the signature of a SavedModel), only what
   leaves no choice is paired. Nothing is paired by alphabet.

Whatever does not come out even is refused, unless it does without the inputs that no result depends on.
These are filled with zeros or empty texts then.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from model_serving.core.errors import ModelRejected
from model_serving.engines.tensors.inputs import Feed, TensorInput, TensorInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from model_serving.core.engine import RecordSchema

__all__ = ["filled_note", "plan_inputs"]


def plan_inputs(
    tensors: Sequence[TensorInput],
    given: tuple[str, ...],
    schema: RecordSchema,
    *,
    ordered: bool = False,
    needed: Callable[[], Collection[str]] | None = None,
) -> TensorInputs:
    """Fits a record type to a model's inputs, by the rules of this module.

    Args:
        tensors: the model's inputs, in the order in which it takes them.
        given: the fields that the message names in ``inputs``, may be empty.
        schema: the record type.
        ordered: whether the order of ``tensors`` is the model's own.
        needed: gives the names of the inputs that the results depend on; None: on all.

    Raises:
        ModelRejected: the record type and the inputs do not fit.
    """
    try:
        return _planned(tensors, given, schema, ordered)
    except ModelRejected as refusal:
        names = None if needed is None else needed()
        kept = [tensor for tensor in tensors if names is None or tensor.name in names]
        if 0 < len(kept) < len(tensors):
            with suppress(ModelRejected):
                return _with_filled(tensors, _planned(kept, given, schema, ordered))
        raise _constants(tensors) or refusal from None


def _constants(tensors: Sequence[TensorInput]) -> ModelRejected | None:
    """Returns the refusal of inputs that are the same for all records, None if there are none."""
    rows = [(tensor, tensor.shape[0]) for tensor in tensors if tensor.shape]
    fixed = [tensor for tensor, count in rows if count is not None]
    if not fixed or len(fixed) == len(rows):
        return None
    return ModelRejected(
        f"the model's inputs {_listed(fixed)} have no rows for records: the exporter has left constants as "
        "inputs (Keras does so with Normalization and format='onnx'): export a SavedModel, "
        "model.export('folder')"
    )


def filled_note(names: Sequence[str]) -> str:
    """Returns what the status says of inputs that no field goes into."""
    return f"No result depends on these inputs, and the record has no field for them: {', '.join(names)}."


def _with_filled(tensors: Sequence[TensorInput], planned: TensorInputs) -> TensorInputs:
    parts = {part.tensor.name: part for part in planned.parts}
    for tensor in tensors:
        sizes = tuple(1 if size is None else size for size in tensor.sizes)
        parts.setdefault(tensor.name, Feed(tensor, (), sizes))
    return replace(planned, parts=tuple(parts[tensor.name] for tensor in tensors), batch=_batch(tensors))


def _planned(
    tensors: Sequence[TensorInput], given: tuple[str, ...], schema: RecordSchema, ordered: bool
) -> TensorInputs:
    _check(tensors)
    names = tuple(schema.field_named(name) for name in given)
    taken: dict[str, tuple[str, ...]] = {}
    for is_text in (False, True):
        of_kind = [tensor for tensor in tensors if (tensor.dtype is None) == is_text]
        all_fields = schema.text if is_text else schema.numeric
        pool = [name for name in names if name in all_fields] if given else list(all_fields)
        _check_given(tensors, names, schema)
        if of_kind:
            taken |= _Pairing(tensors, of_kind, pool, bool(given), schema).paired(ordered)
        elif given and pool:
            raise _uneven(tensors, names)
    fields = tuple(dict.fromkeys(names or (field for tensor in tensors for field in taken[tensor.name])))
    parts = tuple(
        Feed(tensor, tuple(map(fields.index, taken[tensor.name])), _sizes(tensor, taken[tensor.name], given))
        for tensor in tensors
    )
    return TensorInputs(fields, parts, _batch(tensors))


def _check(tensors: Sequence[TensorInput]) -> None:
    if not tensors:
        raise ModelRejected("the model has no input")
    for tensor in tensors:
        if tensor.dtype is not None and tensor.dtype.kind not in "fiub":
            raise ModelRejected(
                f"the model's input {tensor} is neither a number nor text: export it with floats"
            )
        if tensor.shape is not None and not tensor.shape:
            raise ModelRejected(
                f"the model's input {tensor} takes no batches: export it with the shape (n, k), or make it a "
                "constant if it is the same for all records"
            )
        if tensor.sizes.count(None) > 1:
            raise ModelRejected(
                f"the model's input {tensor} has several sizes that it leaves open: export it as (n, k)"
            )


def _batch(tensors: Sequence[TensorInput]) -> int | None:
    fixed = {tensor.shape[0] for tensor in tensors if tensor.shape} - {None}
    if len(fixed) > 1:
        raise ModelRejected(
            f"the model's inputs have different batch sizes: {_listed(tensors)}: export them as (n, k)"
        )
    return fixed.pop() if fixed else None


def _sizes(tensor: TensorInput, fields: Sequence[str], given: Sequence[str]) -> tuple[int, ...]:
    known = math.prod(size for size in tensor.sizes if size is not None)
    left, odd = divmod(len(fields), known)
    sizes = tuple(left if size is None else size for size in tensor.sizes)
    if odd or math.prod(sizes) != len(fields):
        raise ModelRejected(
            f"the model's input {tensor} does not take {len(fields)} fields: name them in inputs"
        )
    if sum(size != 1 for size in sizes) > 1 and not given:
        raise ModelRejected(
            f"the model's input {tensor} takes several rows for each record: name the {len(fields)} fields "
            "in inputs, row by row"
        )
    return sizes


def _check_given(tensors: Sequence[TensorInput], names: Sequence[str], schema: RecordSchema) -> None:
    widths = [tensor.width for tensor in tensors]
    known = sum(width or 0 for width in widths)
    if names and (known > len(names) or (None not in widths and known != len(names))):
        raise _uneven(tensors, names)
    if len(tensors) == 1:
        for name in names:
            _check_kind(tensors[0], name, schema)


def _check_kind(tensor: TensorInput, field: str, schema: RecordSchema) -> None:
    if (tensor.dtype is None) != (field in schema.text):
        raise ModelRejected(
            f"the model's input {tensor} does not take '{field}' of {schema.name}, "
            f"which is {'text' if field in schema.text else 'a number'}"
        )


def _uneven(tensors: Sequence[TensorInput], names: Sequence[str]) -> ModelRejected:
    texts = sum(tensor.width or 0 for tensor in tensors if tensor.dtype is None)
    total = sum(tensor.width or 0 for tensor in tensors)
    of_text = f" ({texts} of them text)" if texts else ""
    return ModelRejected(
        f"inputs names {len(names)} fields ({', '.join(names)}), but the model takes {total}{of_text}: "
        f"{_listed(tensors)}: name the fields in the order in which the model takes them"
    )


def _listed(tensors: Iterable[TensorInput]) -> str:
    return "; ".join(map(str, tensors))


class _Pairing:
    """Pairs the inputs of one kind, text or numbers, with the fields of that kind."""

    def __init__(
        self,
        tensors: Sequence[TensorInput],
        of_kind: Sequence[TensorInput],
        pool: Sequence[str],
        given: bool,
        schema: RecordSchema,
    ) -> None:
        self._tensors = tensors
        self._of_kind = of_kind
        self._pool = list(pool)
        self._given = given
        self._schema = schema

    def paired(self, ordered: bool) -> Mapping[str, tuple[str, ...]]:
        """Returns the fields of each input, by the input's name.

        Raises:
            ModelRejected: it does not come out even, or leaves a choice.
        """
        named = self._named()
        singles = [tensor for tensor in self._of_kind if tensor.width == 1]
        wide = [tensor for tensor in self._of_kind if tensor.width != 1]
        if len(named) == len(singles) and (named or len(wide) == 1):
            left = list(self._pool)
            for (field,) in named.values():
                left.remove(field)
            if len(wide) > 1 and not ordered:
                raise self._no_order()
            dealt = self._dealt(wide, left) if wide else {}
            if not wide and left and self._given:
                raise _uneven(self._tensors, self._pool)
            return named | dealt
        if not self._given and not self._comes_out_even():
            raise self._unknown_field(named)
        unnamed = [tensor for tensor in self._of_kind if tensor.name not in named]
        if not ordered and len(unnamed) > 1:
            raise self._no_order()
        if not ordered:
            left = [field for field in self._pool if (field,) not in named.values()]
            return named | self._dealt(unnamed, left)
        dealt = self._dealt(self._of_kind, self._pool)
        for name, fields in named.items():
            if dealt[name] != fields:
                raise ModelRejected(
                    f"the model's input {name} would get the field {', '.join(dealt[name])}, by the order of "
                    f"its inputs ({_listed(self._of_kind)}): name the fields in inputs in this order"
                )
        return dealt

    def _named(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for tensor in self._of_kind:
            if tensor.width != 1:
                continue
            try:
                field = self._schema.field_named(tensor.name)
            except ModelRejected:
                continue
            if field in self._pool:
                found[tensor.name] = (field,)
            elif not self._given:
                _check_kind(tensor, field, self._schema)
        return found

    def _comes_out_even(self) -> bool:
        widths = [tensor.width for tensor in self._of_kind]
        known = sum(width or 0 for width in widths)
        return known == len(self._pool) if None not in widths else known < len(self._pool)

    def _dealt(self, tensors: Sequence[TensorInput], pool: Sequence[str]) -> dict[str, tuple[str, ...]]:
        open_ = [tensor for tensor in tensors if tensor.width is None]
        left = len(pool) - sum(tensor.width or 0 for tensor in tensors)
        if len(open_) > 1:
            raise ModelRejected(
                f"several inputs take any number of fields: {_listed(open_)}: export them with their widths"
            )
        if left < len(open_) or (left and not open_):
            raise self._wrong_number(tensors, pool)
        dealt, at = {}, 0
        for tensor in tensors:
            width = left if tensor.width is None else tensor.width
            dealt[tensor.name] = tuple(pool[at : at + width])
            at += width
        return dealt

    def _wrong_number(self, tensors: Sequence[TensorInput], pool: Sequence[str]) -> ModelRejected:
        wanted = sum(tensor.width or 1 for tensor in tensors)
        kind = " text" if tensors[0].dtype is None else ""
        have = "inputs names" if self._given else f"{self._schema.name} has"
        takes = (
            f"the model's input {tensors[0]} takes"
            if len(tensors) == 1
            else f"{_listed(tensors)} together take"
        )
        return ModelRejected(
            f"{takes} {wanted}{kind} fields, {have} {len(pool)} ({', '.join(pool)}): "
            "name the fields in inputs, in the order in which the model takes them"
        )

    def _unknown_field(self, named: Mapping[str, object]) -> ModelRejected:
        singles = (each for each in self._of_kind if each.name not in named and each.width == 1)
        unknown = next(singles, None)
        if unknown is None:
            return self._wrong_number(self._of_kind, self._pool)
        fields = ", ".join((*self._schema.numeric, *self._schema.text))
        return ModelRejected(
            f"the model needs the field '{unknown.name}', which {self._schema.name} does not have (it has "
            f"{fields}): name the fields in inputs, in the order in which the model takes them, or start the "
            "job with another --record-type"
        )

    def _no_order(self) -> ModelRejected:
        return ModelRejected(
            f"the model has several inputs and no order of them: {_listed(self._of_kind)}: export it with "
            "inputs that have the names of the record's fields, or with one input for all of them"
        )
