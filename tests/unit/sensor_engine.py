"""The engine of the hosts' unit tests: models of sensor readings whose contents are names of scripts."""

from __future__ import annotations

from types import ModuleType

import pytest

from model_serving.core.admission import queue
from model_serving.core.pool import ModelPool
from model_serving.engines.content import KindCheckedEngine
from model_serving.testing import FakeClock, FakeEngine, Script

__all__ = ["put_sensor_engine"]

_TAKES = ("people", "temperature")
_SCRIPTS = {
    b"v1": Script(fields=_TAKES, x="temperature"),
    b"v2": Script(fields=_TAKES, x="temperature", offset=100),
    b"fails on 13": Script(fields=_TAKES, x="temperature", poison=13.0),
    b"broken": Script(load_error="not a model"),
}


def put_sensor_engine(monkeypatch: pytest.MonkeyPatch, host: ModuleType, clock: FakeClock) -> FakeEngine:
    """Makes all loads of a host's process go to one fake engine, and returns it.

    ``host`` is the module that has the process's ``POOL`` and ``ENGINES``. ``v1`` gives the temperature, and
    ``v2`` adds 100 to it.
    """
    made = FakeEngine(clock, dict(_SCRIPTS))
    monkeypatch.setattr(host, "POOL", ModelPool(made))
    monkeypatch.setattr(host, "ENGINES", made)
    # The contents here do not look like any model.
    monkeypatch.setattr(
        KindCheckedEngine, "load", lambda self, model, schema: self._engine.load(model, schema)
    )
    # A load that runs alone is waited for, even on a busy machine.
    monkeypatch.setattr(queue, "_QUICK_S", 60)
    return made
