"""What is committed for a consumer group, where Kafka does not answer."""

from __future__ import annotations

import time

from model_serving.messaging.access import KafkaAccess
from model_serving.spark.offsets import GroupOffsets

_CLIENTS_DEFAULT_S = 45.0


def test_a_commit_that_cannot_be_sent_does_not_hold_up_the_end() -> None:
    offsets = GroupOffsets(KafkaAccess("localhost:1", {}), "group")
    offsets.commit("topic", {0: 5})
    begin_s = time.monotonic()
    offsets.close()
    assert time.monotonic() - begin_s < _CLIENTS_DEFAULT_S - 5
