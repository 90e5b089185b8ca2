"""Python's cyclic garbage collector in a process that serves."""

from __future__ import annotations

import gc

__all__ = ["keep_for_good"]

_YOUNG = 10_000
"""How many more new objects than freed ones there are when a collection begins; Python's own number is 700.

A batch has up to 2,000 records, each an object that is freed after the batch, in no cycle with others. With
Python's number each batch would be looked at three times.
"""


def keep_for_good() -> None:
    """Leaves everything that is there now out of later collections; call it at the end of a start.

    A full collection looks at every object, and nothing is served meanwhile. Of 25 ms that it takes after a
    start, nearly all are for modules, functions and classes, which stay until the process ends. Later ones
    begin less often, because they would find nothing in the records of a batch.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
