"""The small value that a batch reads of a data type first: what is in its state, and when to look again."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields

from model_serving.core.errors import IncompatibleState

__all__ = ["Care", "decode_care", "encode_care", "new_mark"]

_SCHEMA = 1


@dataclass(slots=True)
class Care:
    """What a task has to know of a data type before it reads anything else. Times are epoch milliseconds.

    A process may get any data type in any batch, and a batch may be carried out twice. So ``revision`` is
    another one after every change of the data type's state, and ``serving`` after every change of the model
    that serves; it is empty if none does. Both are marks without a meaning: what a process remembers of the
    data type is true as long as it has the same mark.

    ``waiting`` and ``pending`` are how many records and model messages wait. ``timer_ms`` is the time of the
    data type's only timer, ``remind_ms`` when to report waiting records, ``collect_ms`` when to clean up the
    model store, ``retry_ms`` when to see whether a model server is back; 0: never.
    """

    revision: str = ""
    serving: str = ""
    waiting: int = 0
    pending: int = 0
    timer_ms: int = 0
    remind_ms: int = 0
    collect_ms: int = 0
    retry_ms: int = 0


_NAMES = frozenset(field.name for field in fields(Care))


def new_mark() -> str:
    """A mark that no other one equals."""
    return os.urandom(8).hex()


def encode_care(care: Care) -> bytes:
    """The value as bytes, with a schema version."""
    return json.dumps({"schema": _SCHEMA, **asdict(care)}, separators=(",", ":")).encode()


def decode_care(data: bytes | None) -> Care:
    """The inverse of :func:`encode_care`; None gives the value of a data type without state.

    Raises:
        IncompatibleState: a newer version of this software wrote it.
    """
    if data is None:
        return Care()
    values = json.loads(data)
    schema = values.pop("schema")
    if schema > _SCHEMA:
        raise IncompatibleState("what is known of a data type", schema, _SCHEMA)
    return Care(**{name: value for name, value in values.items() if name in _NAMES})
