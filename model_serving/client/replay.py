"""Sends the messages of dead letters back to the topics that they came from, after the cause is fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from model_serving.client.decoding import parse
from model_serving.client.errors import ClientError
from model_serving.client.printable import printable
from model_serving.core.letters import is_cut
from model_serving.core.messages import Reason
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings
from model_serving.messaging.receiving import Received, Start, TopicReader
from model_serving.messaging.sending import Sender
from model_serving.protos.deadletter_pb2 import DeadLetter

__all__ = ["replay"]

_GROUP = "model-serving-replay"
_KNOWN = frozenset(map(int, Reason))
_TIMEOUT_S = 10.0
_NOTED_EVERY = 1_000
"""The position is saved after this number of letters; an interrupted run repeats at most as many."""

_Offsets = dict[int, int]
"""The offset of each partition."""


def replay(kafka: KafkaAccess, topic: str, reasons: Iterable[Reason], *, again: bool, dry_run: bool) -> None:
    """Sends back the messages of the letters that are in the topic now, each only once over all calls.

    The position is saved in Kafka, in a consumer group for each reason. A message that fails again becomes
    a new dead letter.

    Args:
        kafka: the Kafka to connect to.
        topic: the dead-letter topic.
        reasons: the reasons of the letters; letters with other reasons are not sent back.
        again: whether to start at the oldest letter and send those again that were sent back already.
        dry_run: whether to only count.

    Raises:
        ClientError: the topic does not exist, or Kafka does not take a message.
    """
    wanted = frozenset(reasons)
    sent: Counter[str] = Counter()
    left_alone = 0
    with ExitStack() as stack:
        reader = stack.enter_context(TopicReader(kafka, [topic], start=Start.BEGINNING))
        bookmarks = stack.enter_context(_Bookmarks(kafka, topic, wanted, again=again))
        senders: dict[str, Sender] = {}
        for received, letter in _letters(reader, bookmarks.ends):
            reason = Reason(letter.reason)
            if reason not in wanted or bookmarks.passed(reason, received):
                continue
            if not letter.topic or is_cut(letter.detail):
                left_alone += 1
                continue
            sent[letter.topic] += 1
            if dry_run:
                continue
            if letter.topic not in senders:
                senders[letter.topic] = stack.enter_context(Sender(kafka, letter.topic))
            senders[letter.topic].send(letter.payload)
            bookmarks.pass_by(reason, received)
            if sent.total() % _NOTED_EVERY == 0:
                _note(senders, bookmarks)
        _note(senders, bookmarks)
    _report(sent, left_alone, dry_run=dry_run)


class _Bookmarks:
    """The positions up to which the letters of each reason have been sent back."""

    def __init__(self, kafka: KafkaAccess, topic: str, reasons: Iterable[Reason], *, again: bool) -> None:
        self._topic = topic
        self._again = again
        self._consumers = {
            reason: Consumer(
                client_settings(kafka)
                | {"group.id": f"{_GROUP}-{reason.name.lower()}", "enable.auto.commit": False}
            )
            for reason in reasons
        }
        self._next: dict[Reason, _Offsets] = {}
        self.ends: _Offsets = {}

    def __enter__(self) -> Self:
        try:
            for reason, consumer in self._consumers.items():
                if not self.ends:
                    self.ends = self._ends(consumer)
                places = [TopicPartition(self._topic, partition) for partition in self.ends]
                self._next[reason] = {
                    place.partition: max(place.offset, 0)
                    for place in ([] if self._again else consumer.committed(places, timeout=_TIMEOUT_S))
                }
        except KafkaException as error:
            self._close()
            raise ClientError(
                "Kafka does not say which dead letters were sent back already "
                f"({error.args[0].str()}): look at its log"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def passed(self, reason: Reason, letter: Received) -> bool:
        """Whether the letter was sent back already."""
        return letter.offset < self._next[reason].get(letter.partition, 0)

    def pass_by(self, reason: Reason, letter: Received) -> None:
        """Notes that the letter has been sent back. The next ``keep`` saves it."""
        self._next[reason][letter.partition] = letter.offset + 1

    def keep(self) -> None:
        """Saves the positions in Kafka.

        Raises:
            ClientError: Kafka does not save them.
        """
        for reason, offsets in self._next.items():
            places = [TopicPartition(self._topic, *place) for place in offsets.items() if place[1]]
            if places:
                try:
                    self._consumers[reason].commit(offsets=places, asynchronous=False)
                except KafkaException as error:
                    raise ClientError(
                        "messages were sent back, but Kafka did not save that they were "
                        f"({error.args[0].str()}): the next replay would send them again"
                    ) from error

    def _ends(self, consumer: Consumer) -> _Offsets:
        found = consumer.list_topics(self._topic, timeout=_TIMEOUT_S).topics[self._topic]
        return {
            partition: consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=_TIMEOUT_S
            )[1]
            for partition in found.partitions
        }

    def _close(self) -> None:
        for consumer in self._consumers.values():
            consumer.close()


def _letters(reader: TopicReader, ends: Mapping[int, int]) -> Iterator[tuple[Received, DeadLetter]]:
    """Yields the letters before these offsets, without those that the job writes during the replay.

    A message may fail each time that it is sent back, so with new letters the replay might never end.
    """
    for received in reader.until_end():
        if received.offset >= ends.get(received.partition, 0):
            continue
        letter = parse(DeadLetter, received.payload)
        if isinstance(letter, DeadLetter) and int(letter.reason) in _KNOWN:
            yield received, letter


def _note(senders: Mapping[str, Sender], bookmarks: _Bookmarks) -> None:
    # The order matters: a message that is saved as sent but was not delivered would be lost.
    for sender in senders.values():
        sender.flush()
    if senders:
        bookmarks.keep()


def _report(sent: Counter[str], left_alone: int, *, dry_run: bool) -> None:
    where = ", ".join(f"{count:,} to '{topic}'" for topic, count in sorted(sent.items()))
    print(printable(f"{'would send' if dry_run else 'sent'} back {where or 'nothing'}"), flush=True)
    if left_alone:
        print(
            "not sent back, because they do not name their message's topic, or hold only a part of it: "
            f"{left_alone:,}",
            flush=True,
        )
