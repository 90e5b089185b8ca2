"""Turns exceptions of the model libraries into this project's own, each with a text of one line.

A model may make its library raise anything, also RecursionError and MemoryError. The exception refuses only
that model message, or those records, and the text names the type of the exception and what failed. Two kinds
pass unchanged: this project's own errors about the model, and ``Unavailable``, which says nothing about the
model.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from model_serving.core.errors import ModelRejected, ScoringFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["first_line", "quietly", "rejecting", "scoring_failure", "typed_line"]

_log = logging.getLogger(__name__)
_LONGEST = 300
_TENSORFLOW_PREAMBLE = "Graph execution error:"


def first_line(error: object) -> str:
    """Returns the first line of an error's text that is not empty, at most 300 characters of it."""
    text = str(error)
    if text.startswith(_TENSORFLOW_PREAMBLE):
        # The place in the exporting program follows, then the node, then a line that says what went wrong.
        text = text.partition("\nNode: ")[2].partition("\n")[2] or text
    for line in text.splitlines():
        words = " ".join(line.split())
        if words:
            return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 3]}..."
    return type(error).__name__


def typed_line(error: BaseException) -> str:
    """Returns the type of the exception and its ``first_line``."""
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"


@contextmanager
def rejecting(what: str) -> Iterator[None]:
    """Turns every exception inside the block into ``ModelRejected``, except ``Unavailable``.

    Args:
        what: the beginning of the text, such as "TensorFlow cannot read the graph".

    Raises:
        ModelRejected: the block raised an exception.
    """
    try:
        yield
    except (ModelRejected, Unavailable):
        raise
    except Exception as error:
        raise ModelRejected(f"{what}: {typed_line(error)}") from error


def scoring_failure(what: str, error: Exception) -> ScoringFailed | Unavailable:
    """Returns the error to raise when scoring a batch fails, which is ``error`` if it is the project's own.

    Args:
        what: the beginning of the text, such as "TensorFlow failed".
        error: any exception of a library, or of numpy when it reads a library's answer.
    """
    if isinstance(error, (ScoringFailed, Unavailable)):
        return error
    return ScoringFailed(f"{what}: {typed_line(error)}")


@contextmanager
def quietly(what: str) -> Iterator[None]:
    """Logs an exception inside the block and does not raise it, so that a model is always released.

    Args:
        what: the beginning of the text, such as "the session cannot be closed".
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever a library raises
        _log.warning("%s: %s", what, typed_line(error))
