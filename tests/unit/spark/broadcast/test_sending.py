"""Messages to a Kafka that is away, or that would refuse them; what arrives, the running jobs show."""

from __future__ import annotations

import pytest

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.topics import DEAD_LETTER_BYTES
from model_serving.spark.broadcast.sending import OutputSender
from model_serving.spark.outputs import Row

NOWHERE = KafkaAccess("127.0.0.1:1")
ROW: Row = ("results", b"result", [("place", b"records/0/1")])


def test_a_task_gives_up_a_kafka_that_is_away() -> None:
    sender = OutputSender(NOWHERE, give_up_ms=2)
    sender.put([ROW])
    with pytest.raises(MessagingError, match=r"Kafka did not take a message .*: look at the topics"):
        sender.flush()


def test_what_kafka_has_refused_before_is_told_with_the_next_messages() -> None:
    sender = OutputSender(NOWHERE, give_up_ms=2)
    with pytest.raises(MessagingError, match="did not take"):
        sender.send([ROW])
    with pytest.raises(MessagingError, match="did not take"):
        sender.send([])


def test_the_driver_waits_for_kafka_until_the_job_is_stopped() -> None:
    asked: list[None] = []

    def stopping() -> bool:
        asked.append(None)
        return len(asked) > 1

    with pytest.raises(MessagingError, match="stopped while Kafka did not answer"):
        OutputSender(NOWHERE, stopping=stopping).send([ROW])
    assert len(asked) == 2


def test_a_message_that_no_topic_takes_is_refused_at_once() -> None:
    with pytest.raises(MessagingError, match="too large"):
        OutputSender(NOWHERE).put([("results", bytes(DEAD_LETTER_BYTES + 1), [])])


def test_a_full_buffer_holds_the_task_up() -> None:
    # The client's buffer holds 64 MiB; without the wait, the queue would be full after that.
    sender = OutputSender(NOWHERE, stopping=lambda: True)
    message: Row = ("results", bytes(1 << 20), [])
    with pytest.raises(MessagingError, match="stopped while Kafka did not answer"):
        sender.put([message] * 66)
