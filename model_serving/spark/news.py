"""Tells on the driver what becomes of models, wherever the tasks run: reads the status topic along."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from model_serving.events import Events, Stream
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.receiving import Start, TopicReader
from model_serving.spark.config import SparkConfig

__all__ = ["ModelNews"]


class ModelNews:
    """A context manager that tells each model status that is written after it was entered.

    Raises:
        MessagingError: on entry, when the status topic cannot be read.
    """

    def __init__(self, config: SparkConfig) -> None:
        self._reader = TopicReader(config.kafka, [config.status_topic], start=Start.NOW)
        self._events = Events(config.log_format, f"{config.variant.value}.py", Stream.OUTPUT)

    def __enter__(self) -> Self:
        self._reader.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.__exit__(kind, error, trace)

    def tell(self) -> None:
        """Tells what has come since the last call; does not wait."""
        try:
            received = self._reader.poll(0.0)
        except MessagingError:
            # What is told is of no account to what is served.
            return
        self._events.statuses(one.payload for one in received)
