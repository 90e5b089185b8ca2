"""Finds the cause of a query's failure and puts it into one line."""

from __future__ import annotations

from typing import Any

__all__ = ["cause_of", "line_of"]

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = "\tat "
_JAVA_STACK = "JVM stacktrace:"


def cause_of(error: BaseException) -> str:
    """The first cause of what pyspark has raised, on one line."""
    java = _java_of(error)
    if java is None:
        return line_of(str(error)) or type(error).__name__
    deepest = java
    while deepest.getCause() is not None:
        deepest = deepest.getCause()
    return line_of(str(deepest.getMessage() or deepest.toString()))


def line_of(text: str) -> str:
    """The line of a message that names the cause.

    A Python error arrives with its traceback, whose last line names it, followed by Java's frames. Any other
    message says it in its first line.
    """
    kept: list[str] = []
    for line in text.partition(_JAVA_STACK)[0].splitlines():
        if kept and line.startswith(_FRAME):
            break
        if line.strip():
            kept.append(line.strip())
    if not kept:
        return ""
    return kept[-1] if any(_TRACEBACK in line for line in kept) else kept[0]


def _java_of(error: BaseException) -> Any:
    """The Java exception behind pyspark's, or behind Py4J's; None if there is none."""
    # pyspark keeps it in a private field: its public parts are texts.
    return getattr(error, "_origin", None) or getattr(error, "java_exception", None)
