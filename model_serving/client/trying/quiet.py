"""Keeps what native libraries print away from the output of a command.

TensorFlow writes about itself to the file descriptors of the process, past Python's streams, so a message of
one line would drown, and JSON would have other lines in it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["only_python_prints"]


@contextmanager
def only_python_prints() -> Iterator[None]:
    """Inside the block, what is written to descriptors 1 and 2 is dropped; ``print`` goes on as before."""
    streams = sys.stdout, sys.stderr
    kept: list[TextIO] = []
    sys.stdout, sys.stderr = (_elsewhere(stream, number, kept) for number, stream in enumerate(streams, 1))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    saved = [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, descriptor in enumerate(saved, 1):
            os.dup2(descriptor, number)
        for descriptor in (nowhere, *saved):
            os.close(descriptor)
        sys.stdout, sys.stderr = streams
        for stream in kept:
            stream.close()


def _elsewhere(stream: TextIO, number: int, kept: list[TextIO]) -> TextIO:
    """The stream itself, or if it writes to this descriptor, one that writes to a copy of it."""
    try:
        is_there = stream.fileno() == number
    except (OSError, ValueError):
        return stream
    if not is_there:
        return stream
    stream.flush()
    copy = os.fdopen(os.dup(number), "w", 1, encoding=stream.encoding, errors="backslashreplace")
    kept.append(copy)
    return copy
