"""Puts the core's objects together for an operator."""

from __future__ import annotations

import ctypes

from functions.core.admission import Admission
from functions.core.clock import SystemClock
from functions.core.pool import ModelPool
from functions.core.server import Server
from functions.engines import engine_for
from functions.location import LocationStore
from functions.settings import ServingSettings
from functions.wire import RecordCodec

__all__ = ["CLOCK", "POOL", "build_admission", "build_server", "check_interpreter_state"]

CLOCK = SystemClock()

POOL = ModelPool(engine_for)
"""One for the process: operators that share a process share its loaded models."""


def build_server(settings: ServingSettings, codec: RecordCodec) -> Server:
    """A server of records of the codec's type."""
    return Server(
        POOL,
        codec.schema,
        settings.data_topic,
        CLOCK,
        missing=settings.missing,
        failure_threshold=settings.failure_threshold,
    )


def build_admission(settings: ServingSettings, codec: RecordCodec) -> Admission:
    """An admission for models that score records of the codec's type."""
    return Admission(
        pool=POOL,
        schema=codec.schema,
        read_location=LocationStore(
            settings.base_dir, settings.model_size_limit, settings.allow_locations
        ).read,
        read_example=codec.example,
        keep_versions=settings.keep_versions,
        clock=CLOCK,
    )


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
