"""Offsets are committed after the output that they stand for; whoever is fenced stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError

from model_serving.server.delivery import Delivery
from model_serving.server.errors import Fenced, Interrupted
from tests.fake_kafka import failure
from tests.unit.server.clients import Clients, Seconds


def test_at_least_once_commits_after_the_interval_and_what_was_served(
    clients: Clients, seconds: Seconds
) -> None:
    delivery = clients.at_least_once()
    clients.read(b"a", b"b")
    delivery.write("results", [b"1", b"2"])
    delivery.tend(has_read=True)
    assert (clients.results, clients.committed) == ([b"1", b"2"], None)
    seconds.now += 0.2
    delivery.tend(has_read=False)
    assert clients.committed == 2
    # Partition 1 has given nothing, so nothing is known of it.
    assert ("group", "data", 1) not in clients.kafka.offsets
    seconds.now += 10
    clients.kafka.offsets.clear()
    delivery.tend(has_read=False)
    assert clients.committed is None


def test_at_least_once_commits_while_much_is_under_way_when_it_is_late(
    clients: Clients, seconds: Seconds
) -> None:
    delivery = clients.at_least_once()
    clients.read(b"a")
    delivery.tend(has_read=True)
    clients.producer.under_way = 7
    seconds.now += 0.3
    delivery.tend(has_read=False)
    assert "flush" not in clients.producer.calls
    seconds.now += 0.2
    with pytest.raises(Interrupted, match="Kafka has not taken the results within 10 s"):
        delivery.tend(has_read=False)
    assert clients.committed is None


def test_at_least_once_commits_nothing_after_a_message_that_was_not_delivered(clients: Clients) -> None:
    delivery = clients.at_least_once()
    clients.read(b"a")
    delivery.tend(has_read=True)
    clients.producer.settings["on_delivery"](KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
    for act in (delivery.finish, lambda: delivery.tend(has_read=True)):
        with pytest.raises(Interrupted, match="a message was not delivered"):
            act()
    assert clients.committed is None


def test_a_commit_that_a_rebalance_refuses_does_no_harm_and_a_fenced_one_ends(clients: Clients) -> None:
    delivery = clients.at_least_once()
    clients.read(b"a")
    delivery.tend(has_read=True)
    clients.consumer.fail["commit"] = failure(KafkaError.ILLEGAL_GENERATION)
    delivery.finish()
    clients.read(b"b")
    delivery.tend(has_read=True)
    clients.consumer.fail["commit"] = failure(KafkaError.FENCED_INSTANCE_ID)
    with pytest.raises(Fenced):
        delivery.finish()


@pytest.mark.parametrize("make", [Clients.at_least_once, Clients.exactly_once])
def test_after_the_end_nothing_is_committed_any_more(
    clients: Clients, make: Callable[[Clients], Delivery]
) -> None:
    """The consumer gives its partitions back last, when records may have been read and not served."""
    delivery = make(clients)
    clients.read(b"a")
    delivery.tend(has_read=True)
    clients.read(b"b")
    delivery.close()
    delivery.finish()
    assert clients.committed is None
