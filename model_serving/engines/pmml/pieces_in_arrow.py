"""Numbers pieces of bytes and reads numbers with Arrow (see ``pieces``), during which other threads run.

Arrays are made from buffers and read from buffers. ``pyarrow.array`` and ``to_numpy`` would import pandas,
which takes half a second, and fails when another thread imports it too, for TensorFlow for instance.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

    from model_serving.engines.pmml.xml_columns import Indices

__all__ = ["numbered", "spelled"]

_BEGINS_NUMBERS = np.isin(np.arange(256), list(b"0123456789-"))


def numbered(data: npt.NDArray[np.uint8], ends: Indices) -> tuple[npt.NDArray[np.uint8], Indices, Indices]:
    """Numbers pieces, equal ones alike, in the order in which they come first.

    Args:
        data: the bytes of the pieces, one behind the other.
        ends: where each piece begins in them and the one before it ends, 32 bits, shape (P + 1,).

    Returns:
        The same of the D different pieces, and the number of each piece, shape (P,).
    """
    made = _array(data, ends).dictionary_encode()
    _, ends_buffer, data_buffer = made.dictionary.buffers()
    different_ends = np.frombuffer(ends_buffer, dtype=np.int32, count=len(made.dictionary) + 1)
    different = np.frombuffer(data_buffer, dtype=np.uint8, count=different_ends[-1])
    return different, different_ends, _numbers(made.indices, np.dtype(np.int32))


def spelled(data: npt.NDArray[np.uint8], ends: Indices) -> npt.NDArray[np.float64]:
    """Returns what pieces with a quote behind each spell, NaN where that is not known, shape (P,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    made = np.full(len(ends) - 1, np.nan)
    is_number = _BEGINS_NUMBERS[data[ends[:-1]]]
    bits = pa.py_buffer(np.packbits(is_number, bitorder="little"))
    mask = pa.Array.from_buffers(pa.bool_(), len(is_number), [None, bits])
    some = pc.binary_slice(_array(data, ends).filter(mask), 0, -1)
    # What begins like a number may be a date, and then none of them is read here.
    with suppress(pa.ArrowInvalid):
        made[is_number] = _numbers(some.cast(pa.string()).cast(pa.float64()), np.dtype(np.float64))
    return made


def _array(data: npt.NDArray[np.uint8], ends: Indices) -> pa.BinaryArray:
    import pyarrow as pa

    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])


def _numbers(array: pa.Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The numbers of an array without missing ones."""
    _, buffer = array.buffers()
    return np.frombuffer(buffer, dtype, count=len(array), offset=array.offset * dtype.itemsize)
