"""A load in which every record has a number, so that every result can be checked.

Records have their number in ``ts`` and in ``alcohol``. Version ``v7`` of a model answers 7 · 10⁹ + alcohol,
so a result shows its record, and the version that must have scored it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.winerecord_pb2 import WineRecord
from tests.job_models import regression_pmml
from tests.job_traffic import Traffic

__all__ = ["STEADY", "SWAPPED", "NumberedLoad", "answer", "is_right", "numbered_model", "numbered_record"]

STEADY = "steady"
"""A data type whose model is published once, before the first fault."""

SWAPPED = "swapped"
"""A data type that gets a new version all the time."""

_STEP = 10**9
_TICK_S = 0.005


def answer(version: int, number: int) -> float:
    """Returns the answer of version ``version`` to record ``number``."""
    return float(version * _STEP + number)


def is_right(result: ServingResult) -> bool:
    """Whether a result is the answer of its version to its record."""
    return result.result == answer(int(result.version.removeprefix("v")), result.submissionTs)


def numbered_model(data_type: str, version: int) -> ModelDescriptor:
    """Returns version ``version`` of a data type's model."""
    content = regression_pmml(answer(version, 0), {"alcohol": 1.0})
    return ModelDescriptor(
        name=data_type, dataType=data_type, modeltype="PMML", version=f"v{version}", data=content
    )


def numbered_record(data_type: str, number: int) -> WineRecord:
    """Returns record ``number`` of a data type."""
    return WineRecord(dataType=data_type, ts=number, alcohol=number)


class NumberedLoad:
    """Sends records of both data types, and versions of one of them, while the context is open.

    The context first publishes the first models and waits until both serve. ``sent`` counts the records of
    each data type; they are numbered from 1. ``versions`` is the last published version of SWAPPED. Without a
    broker the load goes on: records that are sent meanwhile wait in the producer.
    """

    def __init__(self, traffic: Traffic, *, records_per_s: float = 200, swap_every_s: float = 0.5) -> None:
        self._traffic = traffic
        self._records_per_s = records_per_s
        self._swap_every_s = swap_every_s
        self._stopping = threading.Event()
        self._swapping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.sent: Counter[str] = Counter()
        self.versions = 1
        self.floor: dict[int, int] = {}
        """Number of a SWAPPED record → the highest version that was said to be active before it was sent."""

    def __enter__(self) -> Self:
        for data_type in (STEADY, SWAPPED):
            self._traffic.serve(numbered_model(data_type, 1))
        self._swapping.set()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop_swaps(self) -> None:
        """Stops publishing models."""
        self._swapping.clear()

    def go_on_with(self, traffic: Traffic) -> None:
        """Continues with another producer, and flushes the old one."""
        old, self._traffic = self._traffic, traffic
        old.flush()

    def resume_swaps(self) -> None:
        """Publishes new versions again."""
        self._swapping.set()

    def stop(self) -> None:
        """Ends the load, and waits until Kafka has all of it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
            self._traffic.flush()

    def send_waiting(self, data_type: str, count: int) -> None:
        """Sends records of a data type without a model."""
        for _ in range(count):
            self._send(data_type)

    def _run(self) -> None:
        start = last_swap_s = time.monotonic()
        while not self._stopping.wait(_TICK_S):
            now = time.monotonic()
            while self.sent[STEADY] + self.sent[SWAPPED] < (now - start) * self._records_per_s:
                self._send(STEADY)
                self._send(SWAPPED)
            if self._swapping.is_set() and now - last_swap_s >= self._swap_every_s:
                last_swap_s = now
                self.versions += 1
                self._traffic.offer_later(numbered_model(SWAPPED, self.versions))

    def _send(self, data_type: str) -> None:
        number = self.sent[data_type] + 1
        if data_type == SWAPPED:
            self.floor[number] = _highest_active(self._traffic.statuses[SWAPPED])
        # The record is counted first, because no result may be of a record that was not sent yet.
        self.sent[data_type] = number
        self._traffic.stream(numbered_record(data_type, number))


def _highest_active(statuses: list[ModelStatus]) -> int:
    # After a fault, at-least-once repeats some of the last statuses.
    return max(int(status.version.removeprefix("v")) for status in statuses[-20:])
