"""What the routes of one server share."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from model_serving.query.commanding import Commanding
from model_serving.query.digests import Digests
from model_serving.query.ports import Health, Known, Lag, Scorer
from model_serving.query.streaming import EventHub

__all__ = ["Parts", "parts_of"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes use. Without a ``scorer``, single records are not scored here.

    Without a ``lag``, this process reads no records.
    """

    known: Known
    health: Health
    hub: EventHub
    digests: Digests
    commanding: Commanding
    scorer: Scorer | None
    lag: Lag | None = None


def parts_of(request: Request) -> Parts:
    """The parts of the application that a request goes to."""
    parts = request.app.state.parts
    if not isinstance(parts, Parts):
        raise TypeError("the application was not made by build_app")
    return parts
