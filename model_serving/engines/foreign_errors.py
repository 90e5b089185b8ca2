"""Where exceptions of the model libraries become this project's own, each in one line.

A model may make its library raise anything, RecursionError and MemoryError too. It costs that model message,
or those records, and the text names the type of the exception and what failed. Two kinds pass as they are:
this project's own errors about the model, and ``Unavailable``, which says nothing about the model.
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
    """The first line of an error's text that says something, at most 300 characters of it."""
    text = str(error)
    if text.startswith(_TENSORFLOW_PREAMBLE):
        # Then come the place in the exporting program, the node, and on the next line what went wrong.
        text = text.partition("\nNode: ")[2].partition("\n")[2] or text
    for line in text.splitlines():
        words = " ".join(line.split())
        if words:
            return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 3]}..."
    return type(error).__name__


def typed_line(error: BaseException) -> str:
    """``first_line`` with the type of the exception before it."""
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"


@contextmanager
def rejecting(what: str) -> Iterator[None]:
    """Every exception inside the block becomes ``ModelRejected``, but for ``Unavailable``.

    Args:
        what: the beginning of the text, such as "TensorFlow cannot read the graph".
    """
    try:
        yield
    except (ModelRejected, Unavailable):
        raise
    except Exception as error:
        raise ModelRejected(f"{what}: {typed_line(error)}") from error


def scoring_failure(what: str, error: Exception) -> ScoringFailed | Unavailable:
    """What to raise for an exception of a batch's scoring: the exception itself, if it is one to be raised.

    Args:
        what: the beginning of the text, such as "TensorFlow failed".
        error: anything that a library, or numpy with what a library gave, has raised.
    """
    if isinstance(error, (ScoringFailed, Unavailable)):
        return error
    return ScoringFailed(f"{what}: {typed_line(error)}")


@contextmanager
def quietly(what: str) -> Iterator[None]:
    """An exception inside the block is logged and goes no further: a model is let go of in any case.

    Args:
        what: the beginning of the text, such as "the session cannot be closed".
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever a library raises
        _log.warning("%s: %s", what, typed_line(error))
