"""Tensors from the values of a JSON answer, and lists for the values of a JSON request.

What a server sends is checked before it becomes numbers: numpy would take a text that spells a number for the
number, and cut a fraction off for a tensor of whole numbers.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.engines.foreign_errors import first_line, typed_line

__all__ = ["as_json", "as_numbers", "as_texts", "error_in", "metadata_of", "read_json"]

Tensor = npt.NDArray[Any]


def as_json(value: object) -> bytes:
    """JSON without spaces; NaN and the infinities are written as such, as both protocols' servers do."""
    return json.dumps(value, separators=(",", ":")).encode()


@contextmanager
def metadata_of(server: str, check: str) -> Iterator[None]:
    """Turns whatever is wrong with metadata into a rejection; ``check`` is what the user looks at next.

    Raises:
        ModelRejected: they are not JSON, or not the metadata of such a ``server``.
    """
    try:
        yield
    except ScoringFailed as error:
        raise ModelRejected(f"the model's metadata cannot be read: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelRejected(
            f"the model's metadata are not those of {server} ({type(error).__name__}: {first_line(error)}): "
            f"{check}"
        ) from None


def read_json(body: bytes) -> dict[str, Any]:
    """The object in a JSON text, in which NaN and the infinities may stand.

    Raises:
        ScoringFailed: it is anything else, or is nested too deep.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ScoringFailed(f"the model server's answer is not JSON ({typed_line(error)})") from None
    if not isinstance(value, dict):
        raise ScoringFailed("the model server's answer is not a JSON object")
    return value


def error_in(body: bytes) -> str:
    """What a server says in ``{"error": "…"}``; empty if it says nothing in this form."""
    try:
        said = read_json(body).get("error", "")
    except ScoringFailed:
        return ""
    return " ".join(said.split())[:300] if isinstance(said, str) else ""


def as_numbers(values: object, dtype: np.dtype[Any], what: str) -> Tensor:
    """A tensor of numbers from nested lists; null stands for NaN.

    Raises:
        ScoringFailed: the lists are not even, or hold something that ``dtype`` does not.
    """
    try:
        tensor = np.array(values)
        if tensor.dtype.kind == "O" and dtype.kind == "f":
            tensor = np.vectorize(lambda value: math.nan if value is None else value, otypes=[object])(tensor)
            tensor = np.array(tensor.tolist())
    except (ValueError, OverflowError, TypeError):
        raise _uneven(what) from None
    kind = tensor.dtype.kind
    fits = kind in {"f": "fiu", "i": "fiu", "u": "fiu", "b": "b"}[dtype.kind] or not tensor.size
    if fits and dtype.kind in "iu" and kind == "f":
        fits = bool((tensor == np.floor(tensor)).all())
    if not fits:
        raise ScoringFailed(f"the model server gives {what} with something in it that is not {dtype}")
    # A number beyond the range of float32 becomes infinite, as it would in the model.
    with np.errstate(over="ignore"):
        return tensor.astype(dtype)


def as_texts(values: object, what: str) -> Tensor:
    """A tensor of texts from nested lists of texts, or of ``{"b64": "…"}`` for bytes.

    Raises:
        ScoringFailed: the lists are not even, or hold something else.
    """
    try:
        tensor = np.array(values, dtype=object)
    except ValueError:
        raise _uneven(what) from None
    texts = np.empty(tensor.size, dtype=object)
    for place, value in enumerate(tensor.ravel()):
        texts[place] = _text(value, what)
    return texts.reshape(tensor.shape)


def _text(value: object, what: str) -> str | bytes:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError):
            pass
    raise ScoringFailed(f"the model server gives {what} with something in it that is not text")


def _uneven(what: str) -> ScoringFailed:
    return ScoringFailed(f"the model server gives {what} as lists that are not equally long")
