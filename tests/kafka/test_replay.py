"""Dead letters that are sent back, against a real Kafka."""

from __future__ import annotations

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.replay import replay
from model_serving.core.messages import Reason
from model_serving.messaging.receiving import Start, TopicReader
from model_serving.messaging.sending import Sender
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter

pytestmark = pytest.mark.kafka


def write(broker: EmbeddedBroker, topics: TopicNames, *letters: DeadLetter) -> None:
    with Sender(broker.kafka, topics.dead_letters) as sender:
        for letter in letters:
            sender.send(letter.SerializeToString())


def messages(broker: EmbeddedBroker, topic: str) -> list[bytes]:
    with TopicReader(broker.kafka, [topic], start=Start.BEGINNING) as reader:
        return sorted(received.payload for received in reader.until_end())


def test_each_letter_goes_back_once_to_where_its_message_came_from(
    broker: EmbeddedBroker, topics: TopicNames, capsys: pytest.CaptureFixture[str]
) -> None:
    def send_back(*reasons: Reason, again: bool = False, dry_run: bool = False) -> list[str]:
        replay(broker.kafka, topics.dead_letters, reasons, again=again, dry_run=dry_run)
        return capsys.readouterr().out.splitlines()

    write(
        broker,
        topics,
        DeadLetter(reason=DeadLetter.NO_MODEL, topic=topics.data, payload=b"r1"),
        DeadLetter(reason=DeadLetter.SCORING_FAILED, topic=topics.data, payload=b"r2"),
        DeadLetter(reason=DeadLetter.MODEL_REJECTED, topic=topics.models, payload=b"m1"),
        DeadLetter(reason=DeadLetter.MODEL_REJECTED, payload=b"m2"),
        DeadLetter(
            reason=DeadLetter.MODEL_REJECTED,
            topic=topics.models,
            payload=b"m",
            detail=f"why; the payload is cut: 1 of 3000000 bytes, SHA-256 {'0' * 64}",
        ),
    )
    left = "not sent back, because they do not name their message's topic, or hold only a part of it: 2"
    assert send_back(*Reason, dry_run=True) == [
        f"would send back 2 to '{topics.data}', 1 to '{topics.models}'",
        left,
    ]
    assert messages(broker, topics.data) == []
    assert send_back(Reason.NO_MODEL) == [f"sent back 1 to '{topics.data}'"]
    assert send_back(Reason.NO_MODEL) == ["sent back nothing"]
    assert messages(broker, topics.data) == [b"r1"]
    write(broker, topics, DeadLetter(reason=DeadLetter.NO_MODEL, topic=topics.data, payload=b"r3"))
    assert send_back(*Reason) == [f"sent back 2 to '{topics.data}', 1 to '{topics.models}'", left]
    assert messages(broker, topics.data) == [b"r1", b"r2", b"r3"]
    assert messages(broker, topics.models) == [b"m1"]
    assert send_back(Reason.NO_MODEL, again=True) == [f"sent back 2 to '{topics.data}'"]
    assert messages(broker, topics.data) == [b"r1", b"r1", b"r2", b"r3", b"r3"]


def test_what_is_no_letter_stays(
    broker: EmbeddedBroker, topics: TopicNames, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sender(broker.kafka, topics.dead_letters) as sender:
        sender.send(b"\xff\xff")
        sender.send(DeadLetter(reason=99, topic=topics.data, payload=b"r").SerializeToString())  # type: ignore[arg-type]
    replay(broker.kafka, topics.dead_letters, Reason, again=False, dry_run=False)
    assert capsys.readouterr().out == "sent back nothing\n"
    assert messages(broker, topics.data) == []
