"""Distributions as bytes, for where there are very many of them: a tenth of the memory."""

from __future__ import annotations

import struct

import numpy as np

from model_serving.core.statistics.distribution import Distribution
from model_serving.core.statistics.sketch import Buckets, Sketch

__all__ = ["packed", "unpacked"]

_HEAD = struct.Struct("<qdddqiHiH")
"""Count, sum, extremes, zeros; then first bucket and buckets that are not empty, of each sign."""

_PLACE, _COUNT = np.dtype("<u2"), np.dtype("<u4")


def packed(one: Distribution) -> bytes:
    """The distribution without its limit of buckets. A bucket's count is cut to 32 bits."""
    if not one.count:
        return b""
    sketch = one.sketch
    heads: list[int] = []
    parts: list[bytes] = []
    for buckets in (sketch.positive, sketch.negative):
        (places,) = np.nonzero(buckets.counts)
        counts = np.minimum(buckets.counts[places], np.iinfo(_COUNT).max)
        heads += [buckets.first, len(places)]
        parts += [places.astype(_PLACE).tobytes(), counts.astype(_COUNT).tobytes()]
    head = _HEAD.pack(one.count, one.sum, one.minimum, one.maximum, sketch.zeros, *heads)
    return b"".join((head, *parts))


def unpacked(content: bytes) -> Distribution:
    """The distribution that was packed."""
    if not content:
        return Distribution()
    count, total, least, most, zeros, *heads = _HEAD.unpack_from(content)
    at, found = _HEAD.size, []
    for first, size in zip(heads[::2], heads[1::2], strict=True):
        places = np.frombuffer(content, _PLACE, size, at)
        counts = np.frombuffer(content, _COUNT, size, at + places.nbytes)
        at += places.nbytes + counts.nbytes
        dense = np.zeros(int(places[-1]) + 1 if size else 0, np.int64)
        dense[places] = counts
        found.append(Buckets(first, dense))
    return Distribution(count, total, least, most, Sketch(found[0], found[1], zeros))
