"""The pieces between the quotes of a text, each different one once.

Arrow tells pieces apart three times as fast as numpy, and without Python's lock. It comes with Flink and with
Spark. Where they are not, numpy does it: Arrow would nearly double the size of the server's image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_serving.engines.pmml.markup import NotPlain

if TYPE_CHECKING:
    from types import ModuleType

    from model_serving.engines.pmml.xml_columns import Indices

__all__ = ["Pieces", "chosen", "prepare"]

_QUOTE = '"'
_MOST_BYTES = (1 << 31) - 1


@cache
def prepare() -> ModuleType:
    """Imports what tells pieces apart. For Arrow this takes a tenth of a second of processor time."""
    from model_serving.engines.pmml import pieces_in_arrow, pieces_in_numpy

    try:
        import pyarrow.compute  # noqa: F401
    except ModuleNotFoundError:
        return pieces_in_numpy
    return pieces_in_arrow


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The D different ones of some pieces. Each has the quote behind it, but not the last piece of a text.

    Attributes:
        data: the bytes of the pieces, one behind the other.
        ends: where each piece begins in them and the one before it ends, shape (D + 1,).
    """

    data: npt.NDArray[np.uint8]
    ends: Indices

    @staticmethod
    def split(text: memoryview) -> tuple[Pieces, Indices]:
        """Returns the different pieces of a text in their order, and which of them each piece is.

        Raises:
            NotPlain: the text is too long, or some pieces could not be told apart.
        """
        if len(text) > _MOST_BYTES:
            raise NotPlain
        data = np.frombuffer(text, dtype=np.uint8)
        quotes = np.flatnonzero(data == ord(_QUOTE))
        ends = np.zeros(len(quotes) + 2, dtype=np.int32)
        np.add(quotes, 1, out=ends[1:-1], casting="same_kind")
        ends[-1] = len(text)
        different, different_ends, numbers = prepare().numbered(data, ends)
        return Pieces(different, different_ends), numbers

    def used(self, numbers: Indices) -> tuple[Pieces, Indices]:
        """Returns those pieces that are among some, and which of them each of these is."""
        is_used = np.zeros(len(self.ends) - 1, dtype=bool)
        is_used[numbers] = True
        places: Indices = np.cumsum(is_used, dtype=np.int32) - 1
        return Pieces(*chosen(self.data, self.ends, is_used)), places[numbers]

    def texts(self, encoding: str) -> list[str]:
        """Returns the texts without quotes. If the last piece has one behind it, an empty text follows.

        Raises:
            UnicodeDecodeError: they have another encoding.
        """
        return str(self.data.data, encoding).split(_QUOTE)

    def numbers(self) -> npt.NDArray[np.float64]:
        """Returns the numbers that the pieces spell with a quote behind each, NaN where that is not certain.

        Those that it returns are spelled as XML Schema spells doubles. Shape (D,).
        """
        made: npt.NDArray[np.float64] = prepare().spelled(self.data, self.ends)
        # "-inf" and "-nan" are no numbers there.
        made[~np.isfinite(made)] = np.nan
        return made


def chosen(
    data: npt.NDArray[np.uint8], ends: Indices, is_wanted: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], Indices]:
    """Returns those of P pieces that are wanted (shape (P,)), in the form of ``Pieces``."""
    sizes = np.diff(ends)
    made = np.zeros(np.count_nonzero(is_wanted) + 1, dtype=np.int32)
    np.cumsum(sizes[is_wanted], out=made[1:])
    return data[np.repeat(is_wanted, sizes)], made
