"""What the operators of one worker process share: its clock and its loaded models.

Flink ships an operator as a pickled function, so what must not be copied cannot come with it. It is looked up
here when the operator opens.
"""

from __future__ import annotations

import ctypes

from model_serving import assembly
from model_serving.core.clock import Clock, SystemClock
from model_serving.settings import ServingSettings

__all__ = ["CLOCK", "ENGINES", "POOL", "build_parts", "check_interpreter_state"]

CLOCK: Clock = SystemClock()

POOL = assembly.new_pool()
"""A model that admission has loaded is found loaded by the operators that serve."""


ENGINES: assembly.EngineSource = assembly.engine_for


def build_parts(settings: ServingSettings) -> assembly.Parts:
    """The parts of an operator, over the clock and the models of this process."""
    return assembly.build(settings, CLOCK, POOL, ENGINES)


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
