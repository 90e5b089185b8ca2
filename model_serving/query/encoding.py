"""JSON as bytes. What is asked for again and again is encoded once, until it changes."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, NewType, TypeVar

__all__ = ["Encodings", "Json", "encoded", "json_list", "json_object"]

Json = NewType("Json", bytes)
"""A value in JSON, in UTF-8."""

_Value = TypeVar("_Value")


def encoded(content: Any) -> Json:
    """JSON of a value. A number that JSON does not have (NaN, infinite) becomes null."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A text that is not Unicode (a lone surrogate) is shown, not refused.
    return Json(text.encode("utf-8", "backslashreplace"))


def json_list(items: Iterable[Json]) -> Json:
    """The list of these values."""
    return Json(b"[" + b",".join(items) + b"]")


def json_object(fields: Mapping[str, Json]) -> Json:
    """The object with these fields."""
    return Json(b"{" + b",".join(encoded(name) + b":" + value for name, value in fields.items()) + b"}")


class Encodings:
    """The JSON of values by a key, as long as the value stays the same. Safe to use from several threads.

    Args:
        most_bytes: how much JSON is kept; what was encoded the longest time ago is forgotten.
    """

    def __init__(self, most_bytes: int = 16 << 20) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: dict[Hashable, tuple[object, Json]] = {}
        self._lock = threading.Lock()

    def of(self, key: Hashable, value: _Value, document_of: Callable[[_Value], Any]) -> Json:
        """The JSON of ``document_of(value)``; made anew if the key's last value was another one."""
        known = self._kept.get(key)
        if known is not None and (known[0] is value or known[0] == value):
            return known[1]
        made = encoded(document_of(value))
        with self._lock:
            before = self._kept.pop(key, None)
            self._bytes += len(made) - (len(before[1]) if before is not None else 0)
            self._kept[key] = (value, made)
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._kept.pop(next(iter(self._kept)))[1])
        return made


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value
