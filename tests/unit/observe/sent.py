"""Messages as the hosts send them, for the tests of a board."""

from __future__ import annotations

from typing import Any

from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus


def active(ts: int, version: str, previous: str = "", **fields: Any) -> ModelStatus:
    named = {"dataType": "wine", "name": "m"} | fields
    return ModelStatus(version=version, state=ModelStatus.ACTIVE, ts=ts, previous=previous, **named)


def rejected(ts: int, version: str, **fields: Any) -> ModelStatus:
    named = {"dataType": "wine", "name": "m", "detail": "no such field"} | fields
    return ModelStatus(version=version, state=ModelStatus.REJECTED, ts=ts, **named)


def removed(ts: int, **fields: Any) -> ModelStatus:
    named: dict[str, Any] = {"dataType": "wine"} | fields
    return ModelStatus(state=ModelStatus.REMOVED, ts=ts, **named)


def waiting(ts: int, count: int, **fields: Any) -> ModelStatus:
    named: dict[str, Any] = {"dataType": "wine"} | fields
    return ModelStatus(waiting=count, ts=ts, **named)


def letter(ts: int, reason: Any = DeadLetter.NO_MODEL, **fields: Any) -> DeadLetter:
    named = {"dataType": "wine", "detail": "why", "payload": b"abc", "topic": "mdata"} | fields
    return DeadLetter(reason=reason, ts=ts, **named)
