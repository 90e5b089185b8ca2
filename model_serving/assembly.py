"""Puts the core's objects together for an operator."""

from __future__ import annotations

import ctypes
import sys
from functools import partial

from model_serving.core.admission.commands import Admission
from model_serving.core.admission.loads import BackgroundLoads
from model_serving.core.admission.preparation import Prepared
from model_serving.core.clock import SystemClock
from model_serving.core.model_store import ModelContents, everything_inline
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.server import Server
from model_serving.engines import engine_for
from model_serving.engines.content import KindCheckedEngine
from model_serving.engines.limits import Limits
from model_serving.engines.trial.engine import LimitedEngine, TriedEngine
from model_serving.settings import ServingSettings
from model_serving.stores.locations import LocationStore
from model_serving.stores.models import FsspecModelStore
from model_serving.wire import RecordCodec

__all__ = ["CLOCK", "POOL", "build_admission", "build_loads", "build_server", "check_interpreter_state"]

CLOCK = SystemClock()

_LOADS_AT_ONCE = 4
"""Loads of an operator instance that run side by side: enough that slow stores do not hold up everything, few
enough for the memory and the cores that loading takes."""

_HAND_OVER_S = 0.0001
"""How long a thread that loads a model keeps the interpreter to itself when one that serves asks for it.

Python's own 5 ms would be waited for at each batch and at each result that goes back to the JVM: at a
thousand records a second, records queued up for seconds while a large model was loaded.
"""

POOL = ModelPool(engine_for)
"""One for the process: operators that share a process share its loaded models."""


def build_server(settings: ServingSettings, codec: RecordCodec) -> Server:
    """A server of records of the codec's type."""
    return Server(
        POOL.with_engines(partial(LimitedEngine, limits=_limits(settings))),
        codec.schema,
        settings.data_topic,
        CLOCK,
        missing=settings.missing,
        failure_threshold=settings.failure_threshold,
        with_content=_contents(settings).at_hand,
    )


def build_admission(settings: ServingSettings, codec: RecordCodec) -> Admission:
    """An admission for models that score records of the codec's type."""
    limits = _limits(settings)
    pool = POOL.with_engines(partial(LimitedEngine, limits=limits))
    if settings.trial_timeout_s:
        # Only here: what admission let in has been tried.
        pool = pool.with_engines(
            partial(
                TriedEngine,
                limits=limits,
                seconds=settings.trial_timeout_s,
                memory_bytes=settings.trial_memory_limit,
            )
        )
    return Admission(
        # Outermost, so that no trial is made for it, and not for what serves already: that was let in once.
        pool=pool.with_engines(KindCheckedEngine),
        schema=codec.schema,
        read_location=LocationStore(
            settings.base_dir, settings.model_size_limit, settings.allow_locations
        ).read,
        read_example=codec.example,
        keep_versions=settings.keep_versions,
        clock=CLOCK,
        contents=_contents(settings),
    )


def _contents(settings: ServingSettings) -> ModelContents:
    if not settings.model_store:
        return everything_inline()
    return ModelContents(
        FsspecModelStore(settings.model_store),
        settings.inline_limit,
        settings.run,
        settings.model_store_retention_ms,
        claims=settings.claims_stored,
    )


def build_loads(settings: ServingSettings) -> BackgroundLoads[Prepared]:
    """Where an admission has its preparations run, beside threads that serve."""
    sys.setswitchinterval(_HAND_OVER_S)
    return BackgroundLoads(_LOADS_AT_ONCE, settings.load_timeout_s, CLOCK)


def _limits(settings: ServingSettings) -> Limits:
    return Limits(settings.unpacked_size_limit, settings.pmml_size_limit)


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
