"""The state operator: Spark's ``StatefulProcessor`` around what one worker process has for a job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from pyspark.sql.streaming.stateful_processor import StatefulProcessor, StatefulProcessorHandle
from pyspark.sql.types import BinaryType, LongType, StringType, StructField, StructType

from model_serving.messaging.topics import TopicNames
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.spark.keyed.packets import Packets
from model_serving.spark.keyed.rows import NOBODY, Kind, RoutedRow
from model_serving.spark.keyed.serving import KeyedServing
from model_serving.spark.keyed.state import Handles

__all__ = ["KeyedProcessor"]

_BYTES = StructType([StructField("value", BinaryType())])
_VERSION = StructType([StructField("version", StringType())])
_NUMBER = StructType([StructField("number", LongType())])

_servings: dict[ServingSettings, KeyedServing] = {}
"""What this process has for each job. Spark makes a new processor for every task."""


class KeyedProcessor(StatefulProcessor):  # type: ignore[misc]
    """Routed rows of a data type → packets of messages. Spark calls the methods, see its documentation."""

    def __init__(self, settings: ServingSettings, topics: TopicNames) -> None:
        self._settings = settings
        self._topics = topics

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Gets the handles of the task. The driver calls this too, to know what state there is."""
        self._handles = Handles(
            care=handle.getValueState("care", _BYTES),
            history=handle.getValueState("history", _BYTES),
            active=handle.getValueState("active-model", _BYTES),
            kept=handle.getMapState("kept-models", _VERSION, _BYTES),
            pending=handle.getMapState("pending-models", _NUMBER, _BYTES),
            waiting=handle.getListState("waiting", _BYTES),
            timers=handle,
        )
        self._got_rows = False

    def handleInputRows(  # noqa: N802 - Spark's name
        self,
        key: tuple[str],
        rows: Iterator[pd.DataFrame],
        timerValues: Any,  # noqa: N803
    ) -> Iterator[pd.DataFrame]:
        """Carries out a batch's rows of a data type."""
        self._got_rows = True
        (data_type,) = key
        routed = [row for frame in rows for row in _routed(data_type, frame)]
        packets = Packets(self._topics)
        packets.add_rows(routed)
        if data_type != NOBODY and any(row.kind in (Kind.MODEL, Kind.RECORDS) for row in routed):
            now_ms = timerValues.getCurrentProcessingTimeInMs()
            for emitted in self._serving().take(self._handles, data_type, routed, now_ms):
                packets.add(emitted)
                if packets.are_full:
                    yield _frame(packets)
        yield _frame(packets)

    def handleExpiredTimer(  # noqa: N802
        self,
        key: tuple[str],
        timerValues: Any,  # noqa: N803
        expiredTimerInfo: Any,  # noqa: N803
    ) -> Iterator[pd.DataFrame]:
        """Looks after a data type. Spark calls this after all rows of the batch."""
        (data_type,) = key
        packets = Packets(self._topics)
        due_ms, now_ms = expiredTimerInfo.getExpiryTimeInMs(), timerValues.getCurrentProcessingTimeInMs()
        # Every source that has read something gives each task a row in a bounded run.
        ended = self._settings.waiting.bounded and not self._got_rows
        for emitted in self._serving().look(self._handles, data_type, due_ms, now_ms, ended=ended):
            packets.add(emitted)
        yield _frame(packets)

    def close(self) -> None:
        """Ends the task."""
        serving = _servings.get(self._settings)
        if serving is not None and serving.has_loaded:
            serving.has_loaded = False
            worker.freeze()

    def _serving(self) -> KeyedServing:
        parts = worker.parts(self._settings)
        serving = _servings.get(self._settings)
        if serving is None:
            serving = _servings[self._settings] = KeyedServing(parts, self._settings, worker.CLOCK)
        return serving


def _routed(data_type: str, frame: pd.DataFrame) -> Iterator[RoutedRow]:
    for kind, place, body in zip(frame["kind"], frame["place"], frame["body"], strict=True):
        yield RoutedRow(data_type, Kind(kind), int(place), bytes(body))


def _frame(packets: Packets) -> pd.DataFrame:
    taken = list(packets.take())
    return pd.DataFrame(
        {
            "topic": pd.Series([packet.topic for packet in taken], dtype=object),
            "messages": pd.Series([packet.messages for packet in taken], dtype=object),
            "origins": pd.Series([packet.origins for packet in taken], dtype=object),
        }
    )
