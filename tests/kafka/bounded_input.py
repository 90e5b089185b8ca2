"""Everything that a bounded run has to read, from producers of every kind, and much that is wrong with it."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer
from google.protobuf.message import Message

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from tests.job_models import SAMPLES, constant_model, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.producers import send_compressed

__all__ = ["COMMITTED", "EACH", "FRAMED", "ORPHANS", "Framed", "filled", "letters_of_the_rest"]

EACH = 1500
"""Records of each sample model: more than one vector of each partition."""

ORPHANS = sample_records("orphan", 700)
"""Records without a model: more than may wait without a bound."""

COMMITTED = range(4, 12)
"""The records of the data type ``wine``, by their ``ts``, that no transaction took back."""

_BAD = [b"", b"\xff", b"\x61"]
_BAD_MODEL = ModelDescriptor(name="bad", dataType="glm", modeltype="PMML", data=b"<PMML").SerializeToString()
_FRAME = b"\0\0\0\0\x11\0"
"""Of a schema registry: schema 17, message [0]."""


def _odd_strategy(tree: Path) -> bytes:
    """Returns the decision tree with a strategy for missing values that PMML does not have."""
    return tree.read_bytes().replace(b"<TreeModel ", b'<TreeModel missingValueStrategy="guess" ', 1)


class Framed:
    """Models and records in frames, with fields of other wire types, and of other messages."""

    def __init__(self) -> None:
        sample = SAMPLES["linear-regression"]
        count = len(sample.expected)
        (record,) = sample_records("framed", 1)
        # The model must give the first record's answer, and the record is framed too.
        example = {
            "record": _FRAME + record.SerializeToString(),
            "expected": sample.expected[0],
            "tolerance": 1e-6,
        }
        framed = _FRAME + sample.message("framed", examples=[example]).SerializeToString()
        plain = sample.message("plain").SerializeToString()
        # modeltype as a text; a document with a value that PMML does not have.
        text = ModelDescriptor(name="text", dataType="plain", data=b"x").SerializeToString()
        self.wrong_type = text + b"\x22\x04PMML"
        self.odd = ModelDescriptor(
            name="odd", dataType="plain", modeltype="PMML", data=_odd_strategy(SAMPLES["decision-tree"].path)
        ).SerializeToString()
        self.other_message = _FRAME[:-1] + b"\x02\x02" + plain
        self.models = [framed, plain, self.wrong_type, self.odd, self.other_message]
        good = [
            *(_FRAME + one.SerializeToString() for one in sample_records("framed", count)),
            *(one.SerializeToString() for one in sample_records("plain", count)),
        ]
        self.floats = [payload + b"\x5d" + struct.pack("<f", 9.4) for payload in good]
        self.others = [b"\0\0\0\0\x11{}", _FRAME[:-1] + b"\x02\x02" + good[-1]]
        # Enough of them, side by side, for layouts to be learnt.
        pairs = [payload for several in zip(good, self.floats, strict=True) for payload in several]
        self.records = pairs * 10 + self.others


FRAMED = Framed()
"""The one of all runs."""


def letters_of_the_rest() -> Counter[tuple[int, bytes, str]]:
    """Returns the dead letters that all but ``FRAMED`` must give: reason, payload, ``models`` or ``data``."""
    return Counter(
        [
            *((DeadLetter.NO_MODEL, orphan.SerializeToString(), "data") for orphan in ORPHANS),
            (DeadLetter.INVALID_RECORD, _BAD[0], "data"),
            (DeadLetter.UNPARSABLE, _BAD[1], "data"),
            (DeadLetter.UNPARSABLE, _BAD[2], "data"),
            (DeadLetter.MODEL_REJECTED, _BAD_MODEL, "models"),
        ]
    )


@contextmanager
def filled(broker: EmbeddedBroker) -> Iterator[tuple[TopicNames, Producer]]:
    """Gives topics of three partitions with all of it, and a producer whose transaction is still open.

    The transaction has record 11 of ``wine``, and must be committed once the run has started. The topic of
    records ends with aborted ones.
    """
    topics = fresh_topics(broker, partitions=3, of_models=3)
    with Traffic("producer", broker.bootstrap_servers, topics, lambda: None) as traffic:
        records: list[Message | bytes] = [record for key in SAMPLES for record in sample_records(key, EACH)]
        records[4000:4000] = ORPHANS[:350]
        traffic.send(*records, *ORPHANS[350:], *_BAD)
        traffic.send(*FRAMED.records)
        traffic.offer(*(sample.message(key) for key, sample in SAMPLES.items()), _BAD_MODEL, *FRAMED.models)
    send_compressed(broker, topics)
    yield topics, _transactions(broker, topics)


def _transactions(broker: EmbeddedBroker, topics: TopicNames) -> Producer:
    """All to one partition of each topic, so that what was aborted and what is open lies among the rest."""
    producer = _transactional(broker, topics.data)
    _in_transaction(producer, topics.models, [constant_model("wine", 1.0)], commit=True)
    _in_transaction(producer, topics.models, [constant_model("wine", 2.0)], commit=False)
    _in_transaction(producer, topics.data, sample_records("wine", 3), commit=False)
    _in_transaction(producer, topics.data, sample_records("wine", 7, first_ts=4), commit=True)
    unfinished = _transactional(broker, f"{topics.data}-open")
    unfinished.begin_transaction()
    (record,) = sample_records("wine", 1, first_ts=11)
    unfinished.produce(topics.data, record.SerializeToString(), partition=0)
    assert unfinished.flush(30) == 0
    _in_transaction(producer, topics.data, sample_records("wine", 2, first_ts=12), commit=False)
    return unfinished


def _transactional(broker: EmbeddedBroker, name: str) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "log_level": 0,
            "transactional.id": name,
            # The open one must last until the job has started, which takes long on a busy machine.
            "transaction.timeout.ms": 600_000,
        }
    )
    producer.init_transactions(30)
    return producer


def _in_transaction(producer: Producer, topic: str, messages: Iterable[Message], *, commit: bool) -> None:
    producer.begin_transaction()
    for message in messages:
        producer.produce(topic, message.SerializeToString(), partition=0)
    # Only what lies in Kafka can be aborted there; the client would drop what it has not sent yet.
    assert producer.flush(30) == 0
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)
