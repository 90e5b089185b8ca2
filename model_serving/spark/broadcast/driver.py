"""What the driver has: the models loop over its state, put together, and its thread."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from uuid import uuid4

from model_serving.core.model_store import StoreFailed
from model_serving.messaging.errors import MessagingError
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.spark.broadcast.driver_ports import (
    ActiveOnDriver,
    KeptOnDriver,
    PendingOnDriver,
    WaitingOnDriver,
)
from model_serving.spark.broadcast.driver_state import DriverState
from model_serving.spark.broadcast.handover import Handover
from model_serving.spark.broadcast.loop_thread import LoopThread
from model_serving.spark.broadcast.models_loop import ModelsLoop
from model_serving.spark.broadcast.models_source import ModelsSource
from model_serving.spark.broadcast.pointer import Pointer
from model_serving.spark.broadcast.presence import Workers
from model_serving.spark.broadcast.sending import OutputSender
from model_serving.spark.config import SparkConfig
from model_serving.stores.folders import Folder
from model_serving.stores.models import missing_client

__all__ = ["Driver"]

_FOLDER = "broadcast"
_CATCH_UP_S = 60.0
"""How long to wait for the next model message of those that were there at the start."""


class Driver:
    """The driver's part of the job. Call order: ``begin``; ``check`` now and then; ``finish``; ``end``.

    ``finish`` is for the end of a bounded run only.
    """

    def __init__(self, config: SparkConfig) -> None:
        """Reads the state in the checkpoint folder, and connects to Kafka.

        Raises:
            MessagingError: Kafka does not answer, or refuses.
            StoreFailed: the checkpoint folder cannot be used.
            ValueError: the key file cannot be read, or has no key in it.
        """
        self.folder = config.location(_FOLDER)
        if lacking := missing_client(self.folder):
            raise StoreFailed(
                f"models are published to the tasks in --checkpoint-dir, which Python cannot open "
                f"({lacking}): install the client, or name a folder that Python can open"
            )
        folder = Folder(self.folder)
        state = DriverState(folder, f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:12]}")
        # Every content goes to the model store, so that the pointer is small. A restart goes on with the run
        # that put them there.
        self.settings: ServingSettings = replace(config.serving, inline_limit=0, run=state.run)
        self._stopping = Event()
        self._source = ModelsSource(
            config.kafka, config.models_topic, config.models_group, state.positions, config.starting_offsets
        )
        self._state = state
        parts = worker.parts(self.settings)
        waiting = WaitingOnDriver(state)
        self._loop = ModelsLoop(
            self._source,
            parts.gate(0),
            parts.queue(KeptOnDriver(state), PendingOnDriver(state), 0),
            parts.desk(ActiveOnDriver(state), waiting, "driver", 0),
            parts.codec,
            state,
            waiting,
            Pointer(folder),
            Handover(folder),
            Workers(folder, worker.CLOCK),
            config.topic_names,
            OutputSender(config.kafka, stopping=self._stopping.is_set).send,
            worker.CLOCK,
            bounded=config.bounded,
        )
        self._thread = LoopThread(self._loop.step, self._stopping)

    def begin(self) -> None:
        """Publishes the models that serve, takes the messages that are there now, and starts the thread.

        Raises:
            MessagingError: Kafka refuses.
            StoreFailed: the checkpoint folder cannot be used.
        """
        self._loop.begin()
        end_s = time.monotonic() + _CATCH_UP_S
        while not self._loop.caught_up:
            before = dict(self._source.positions)
            self._loop.step()
            if self._source.positions != before:
                end_s = time.monotonic() + _CATCH_UP_S
            elif time.monotonic() > end_s:
                raise MessagingError(f"nothing can be read from Kafka for {_CATCH_UP_S:g} s: look at Kafka")
        self._thread.start()

    def check(self) -> None:
        """Raises what has ended the models loop, if something has."""
        self._thread.check()

    def finish(self) -> None:
        """Gives up the records that still wait, because the input of a bounded run has ended.

        Raises:
            MessagingError: Kafka refuses to be written.
            StoreFailed: the checkpoint folder cannot be used.
        """
        self._thread.end()
        self._thread.check()
        self._stopping.clear()
        self._loop.end()

    def end(self) -> None:
        """Ends the loop; messages and records that wait stay in the state."""
        if not self._thread.end():
            # It is in a model library, or Kafka does not answer. The process ends all the same, or the job
            # starts again in it, and reads the state.
            self._state.give_up()
            return
        self._loop.close()
        self._source.close()
