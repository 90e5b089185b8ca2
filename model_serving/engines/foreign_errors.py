"""Where exceptions of the model libraries become this project's own, each in one line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from model_serving.core.errors import ModelRejected

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["first_line", "rejecting"]

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


@contextmanager
def rejecting(what: str) -> Iterator[None]:
    """Every exception inside the block becomes ``ModelRejected``: a model may make its library raise
    anything.

    Args:
        what: the beginning of the text, such as "TensorFlow cannot read the graph".
    """
    try:
        yield
    except ModelRejected:
        raise
    except Exception as error:
        raise ModelRejected(f"{what}: {first_line(error)}") from error
