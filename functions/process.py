"""The clock and the pool of loaded models, which the operators of one worker process share.

Flink ships an operator as a pickled function, so an object that must not be copied cannot be part of it. The
operator takes such objects from this module when it opens.
"""

from __future__ import annotations

import ctypes

from model_serving import assembly
from model_serving.core.clock import Clock, SystemClock
from model_serving.core.statistics.recorder import Recorder
from model_serving.settings import ServingSettings

__all__ = ["CLOCK", "ENGINES", "POOL", "build_parts", "check_interpreter_state"]

CLOCK: Clock = SystemClock()

POOL = assembly.new_pool()
"""The loaded models: a serving operator finds a model here that admission has loaded."""


ENGINES: assembly.EngineSource = assembly.engine_for
"""The engines that load models."""


def build_parts(settings: ServingSettings, recorder: Recorder | None = None) -> assembly.Parts:
    """The parts of an operator, with the clock and the pool of this process.

    ``recorder`` counts what the operator does, if one is given.
    """
    return assembly.build(settings, CLOCK, POOL, ENGINES, recorder=recorder)


def check_interpreter_state() -> None:
    """Makes sure that model libraries can call back into Python from this thread; call it in ``open``.

    Raises:
        RuntimeError: several Python operators share this thread in thread mode. The first model library that
            calls ``PyGILState_Ensure`` here would wait for ever.
    """
    if not ctypes.pythonapi.PyGILState_Check():
        raise RuntimeError(
            "another Python operator runs in the thread of an operator that scores models: "
            "the topology must start a new chain after it"
        )
