"""Where reading starts, when the partition is so new that its leader does not know of it."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from model_serving.messaging.receiving import end_offset

PLACE = TopicPartition("results", 0)


class Answering:
    """A consumer that fails so often before it answers."""

    def __init__(self, code: int, failures: int) -> None:
        self._code = code
        self.failures = failures

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        assert place is PLACE
        if self.failures:
            self.failures -= 1
            raise KafkaException(KafkaError(self._code))
        return 3, 7


@pytest.mark.parametrize(
    "code",
    [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART],
)
def test_a_new_partition_is_waited_for(code: int) -> None:
    consumer: Any = Answering(code, failures=2)
    assert end_offset(consumer, PLACE) == 7
    assert consumer.failures == 0


def test_any_other_error_is_told_at_once() -> None:
    consumer: Any = Answering(KafkaError.TOPIC_AUTHORIZATION_FAILED, failures=2)
    with pytest.raises(KafkaException):
        end_offset(consumer, PLACE)
    assert consumer.failures == 1
