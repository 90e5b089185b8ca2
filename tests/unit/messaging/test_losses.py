"""Whoever writes to Kafka goes with its last reference, and its client's threads with it.

Python's cyclic collector is off meanwhile. It is not told of the threads and buffers that a client has, so it
may look for a cycle long after.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError

from model_serving.messaging import sending
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.losses import Losses
from model_serving.messaging.sending import Sender
from model_serving.messaging.statistics import StatisticsTopic
from model_serving.server.delivery import AtLeastOnce
from model_serving.server.exactly_once import ExactlyOnce
from model_serving.server.progress import Progress
from model_serving.server.state_topic import StateSender
from model_serving.spark.broadcast.sending import OutputSender

_NOWHERE = KafkaAccess("127.0.0.1:1")
_NOBODY: Any = None


def _opened() -> Sender:
    return Sender(_NOWHERE, "models").__enter__()


def _at_least_once() -> AtLeastOnce:
    return AtLeastOnce(_NOWHERE, _NOBODY, Progress("data"), "state", 0.2)


def _exactly_once() -> ExactlyOnce:
    return ExactlyOnce(_NOWHERE, _NOBODY, Progress("data"), "state", 0.2, "one")


def _reports() -> StatisticsTopic[bytes]:
    return StatisticsTopic(_NOWHERE, "model-stats", lambda report: (report, report))


_WRITERS: dict[str, Callable[[], object]] = {
    "publishers": _opened,
    "statistics": _reports,
    "the server, at least once": _at_least_once,
    "the server, exactly once": _exactly_once,
    "the server's state": lambda: StateSender(_NOWHERE, "state"),
    "Spark's driver and tasks": lambda: OutputSender(_NOWHERE),
}


@pytest.fixture
def without_a_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_a_collector")
@pytest.mark.parametrize("made_by", _WRITERS.values(), ids=list(_WRITERS))
def test_a_writer_and_its_client_do_not_hold_each_other(
    made_by: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "connect", lambda _kafka: None)
    writer = made_by()
    known = weakref.ref(writer)
    del writer
    assert known() is None


def test_the_first_loss_is_kept() -> None:
    losses, nothing = Losses(), _NOBODY
    losses.note(None, nothing)
    assert not losses.first
    losses.note(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), nothing)
    losses.note(KafkaError(KafkaError.BROKER_NOT_AVAILABLE), nothing)
    assert losses.first is not None
    assert losses.first.code() == KafkaError.MSG_SIZE_TOO_LARGE


@pytest.mark.parametrize("code", [KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT])
def test_what_a_transaction_took_along_when_it_failed_is_no_loss_of_its_own(code: int) -> None:
    losses, nothing = Losses(), _NOBODY
    losses.note(KafkaError(code), nothing)
    assert not losses.first
