"""A bounded run knows its ends, also when Kafka is away for a while."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Event
from typing import Any

import pytest
from confluent_kafka import KafkaError

from model_serving.events import Events, LogFormat
from model_serving.server import bounds as module
from model_serving.server import member, run
from model_serving.server.bounds import Bounds, present_bounds
from model_serving.server.config import ServerConfig, parse_config
from model_serving.server.entries import Key, Kind
from model_serving.server.errors import Interrupted
from model_serving.server.health import Health
from model_serving.server.mirror import Mirror
from tests.fake_kafka import failure
from tests.unit.server.states import StateLog


class Ends:
    """See ``TopicEnds``. ``away`` says how often Kafka does not answer; ``end`` grows with each question."""

    away = 0
    end = 10
    closed = 0

    def __init__(self, kafka: object) -> None:
        pass

    def partitions(self, topic: str) -> list[int]:
        if Ends.away:
            Ends.away -= 1
            raise failure(KafkaError._TRANSPORT)
        return [0]

    def of(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        Ends.end += 1
        return dict.fromkeys(partitions, Ends.end)

    def close(self) -> None:
        Ends.closed += 1


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> type[Ends]:
    monkeypatch.setattr(module, "TopicEnds", Ends)
    Ends.away, Ends.end, Ends.closed = 0, 10, 0
    return Ends


def test_a_kafka_that_does_not_answer_interrupts(ends: type[Ends]) -> None:
    ends.away = 1
    with pytest.raises(Interrupted, match="the ends of the topics are not known"):
        present_bounds(parse_config([], {}))
    assert ends.closed == 1


def test_a_bounded_run_waits_for_kafka_and_keeps_its_ends_over_interruptions(
    ends: type[Ends], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends.away = 2
    seen: list[tuple[str, Bounds | None]] = []

    class Serving:
        def __init__(
            self, _config: ServerConfig, clients: str, _events: Events, _health: Any, bounds: Bounds | None
        ) -> None:
            seen.append((clients, bounds))

        def run(self, _stopping: object) -> None:
            if len(seen) == 1:
                raise Interrupted("the broker died")

    monkeypatch.setattr(member, "Member", Serving)
    monkeypatch.setattr(run, "open_clients", lambda *_: "new clients")
    monkeypatch.setattr(run, "_PAUSES_S", (0.0,))
    config = parse_config(["--bounded"], {})
    opened: Any = "opened ahead"
    run._serve(config, opened, Events(LogFormat.TEXT, "test"), Health(), None, Event())
    bounds = Bounds({0: 11}, {0: 12})
    assert seen == [("opened ahead", bounds), ("new clients", bounds)]


def test_models_are_done_when_they_are_carried_out_and_confirmed(mirror: Mirror, log: StateLog) -> None:
    bounds = Bounds({}, {0: 3, 1: 0})
    assert not bounds.has_models_in(mirror)
    log.put(Key(Kind.POSITION, "", "0"), b"3")
    assert bounds.has_models_in(mirror)
    unconfirmed = Key(Kind.UNCONFIRMED, "wine", "1")
    log.put(unconfirmed, b"order")
    assert not bounds.has_models_in(mirror)
    log.put(unconfirmed, None)
    assert bounds.has_models_in(mirror)
