"""The thread of the models loop."""

from __future__ import annotations

from threading import Event

import pytest

from model_serving.messaging.errors import MessagingError
from model_serving.spark.broadcast.loop_thread import LoopThread


def test_it_steps_until_it_is_ended() -> None:
    steps, many = [0], Event()

    def step() -> None:
        steps[0] += 1
        if steps[0] == 3:
            many.set()

    thread = LoopThread(step, Event())
    thread.start()
    assert many.wait(60)
    thread.check()
    assert thread.end()


def test_what_ends_it_is_raised_where_the_job_is_watched() -> None:
    failed = Event()

    def step() -> None:
        failed.set()
        raise MessagingError("Kafka refuses")

    thread = LoopThread(step, Event())
    thread.start()
    assert failed.wait(60)
    assert thread.end()
    with pytest.raises(MessagingError, match="Kafka refuses"):
        thread.check()
