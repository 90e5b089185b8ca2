"""The input and output of a job, with plain Kafka clients: raw protobuf without keys."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from google.protobuf.message import Message

from model_serving.core.admission.signing import sign
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from tests.patience import Patience, patience

__all__ = ["Traffic"]

_LARGEST = 34 << 20
_BROKER_AWAY = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)
_T = TypeVar("_T")


class Traffic:
    """Writes models and records; collects results, statuses and dead letters in the order of their topics.

    ``variant`` is the job's name. ``check`` is called during every wait. It raises an error when the job can
    write nothing more.
    """

    def __init__(
        self,
        variant: str,
        bootstrap_servers: str,
        topics: TopicNames,
        check: Callable[[], None],
        *,
        key: bytes | None = None,
    ) -> None:
        """``key`` signs every model message that is not given as bytes."""
        self.variant = variant
        self._key = key
        self.topics = topics
        self._check = check
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "log_level": 0,
                "message.max.bytes": _LARGEST,
                "linger.ms": 1,
                "enable.idempotence": True,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "log_level": 0,
                "group.id": "unused",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.message.max.bytes": _LARGEST,
                "fetch.max.bytes": 2 * _LARGEST,
                "fetch.wait.max.ms": 50,
            }
        )
        outputs = (topics.results, topics.status, topics.dead_letters)
        known = self._consumer.list_topics(timeout=patience(30)).topics
        places = [(topic, partition) for topic in outputs for partition in known[topic].partitions]
        self._consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in places])
        self._unread = set(places)
        self._news = threading.Condition()
        self._closing = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._collect, name="collector", daemon=True)
        self.sent: Counter[str] = Counter()
        """Messages written, by topic."""
        self.results: dict[str, list[ServingResult]] = defaultdict(list)
        """By data type."""
        self.statuses: dict[str, list[ModelStatus]] = defaultdict(list)
        """By data type."""
        self.reminders: dict[str, list[ModelStatus]] = defaultdict(list)
        """Statuses that say how many records wait, by data type."""
        self.letters: list[DeadLetter] = []
        self.received_s: dict[str, list[float]] = defaultdict(list)
        """When each of the results was read: monotonic seconds, by data type."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._thread.join()
        self._consumer.close()
        self._producer.flush(10)

    def check(self) -> None:
        """Raises an error when the job can write nothing more."""
        if self._failure is not None:
            raise self._failure
        self._check()

    def offer(self, *models: Message | bytes | None) -> None:
        """Writes model messages, and waits until Kafka has them."""
        self._write(self.topics.models, map(self._signed, models))
        self.flush()

    def offer_later(self, model: Message | bytes | None) -> None:
        """Writes a model message, and does not wait."""
        self._write(self.topics.models, [self._signed(model)])

    def send(self, *records: Message | bytes | None) -> None:
        """Writes records, and waits until Kafka has them."""
        self._write(self.topics.data, records)
        self.flush()

    def stream(self, record: Message | bytes | None) -> None:
        """Writes a record, and does not wait."""
        self._write(self.topics.data, [record])

    def flush(self) -> None:
        """Waits until Kafka has everything that was written."""
        assert self._producer.flush(patience(60)) == 0

    def await_results(self, data_type: str, count: int, *, within_s: float = 60) -> list[ServingResult]:
        """Waits for ``count`` results of a data type, and returns them; more are a failure."""
        return self._await(lambda: self.results[data_type], count, f"results for '{data_type}'", within_s)

    def await_statuses(self, data_type: str, count: int, *, within_s: float = 60) -> list[ModelStatus]:
        """Waits for ``count`` statuses of a data type, and returns them; more are a failure."""
        return self._await(lambda: self.statuses[data_type], count, f"statuses of '{data_type}'", within_s)

    def await_reminder(self, data_type: str, waiting: int, *, within_s: float = 60) -> ModelStatus:
        """The status that says that ``waiting`` records of the data type wait."""
        self._wait(lambda: any(one.waiting == waiting for one in self.reminders[data_type]), within_s)
        return next(one for one in self.reminders[data_type] if one.waiting == waiting)

    def await_letters(
        self, wanted: Callable[[DeadLetter], bool], count: int, *, within_s: float = 60
    ) -> list[DeadLetter]:
        """Waits for ``count`` dead letters that are ``wanted``, and returns them; more are a failure."""
        return self._await(
            lambda: [letter for letter in self.letters if wanted(letter)], count, "dead letters", within_s
        )

    def await_letters_of(self, data_type: str, count: int, *, within_s: float = 60) -> list[DeadLetter]:
        """Waits for ``count`` dead letters of a data type, and returns them; more are a failure."""
        return self.await_letters(lambda letter: letter.dataType == data_type, count, within_s=within_s)

    def serve(self, model: Message) -> ModelStatus:
        """Offers a model that must become active, and returns its status."""
        data_type = str(getattr(model, "dataType"))  # noqa: B009 - any descriptor, not this project's alone
        before = len(self.statuses[data_type])
        self.offer(model)
        status = self.await_statuses(data_type, before + 1)[-1]
        assert status.state == ModelStatus.ACTIVE, status
        return status

    def await_all_accounted(self, *, within_s: float = 60) -> None:
        """Waits until each record has one result or dead letter, and each model message has one status."""

        def accounted() -> tuple[int, int]:
            lost = sum(letter.topic == self.topics.data for letter in self.letters)
            return sum(map(len, self.results.values())) + lost, sum(map(len, self.statuses.values()))

        wanted = (self.sent[self.topics.data], self.sent[self.topics.models])
        self._wait(lambda: all(map(int.__ge__, accounted(), wanted)), within_s)
        assert accounted() == wanted, "accounted for, and sent: records, model messages"

    def await_end(self) -> None:
        """Waits until everything is read that was in the topics when reading began."""
        self._wait(lambda: not self._unread, 60)
        assert not self._unread

    def _signed(self, model: Message | bytes | None) -> Message | bytes | None:
        if self._key is None or not isinstance(model, Message):
            return model
        return sign(model.SerializeToString(), self._key)

    def _write(self, topic: str, messages: Iterable[Message | bytes | None]) -> None:
        for message in messages:
            value = message.SerializeToString() if isinstance(message, Message) else message
            self._producer.produce(topic, value)
            self._producer.poll(0)
            self.sent[topic] += 1

    def _await(self, found: Callable[[], list[_T]], count: int, what: str, within_s: float) -> list[_T]:
        self._wait(lambda: len(found()) >= count, within_s)
        have = found()
        assert len(have) == count, f"{len(have)} {what} instead of {count}; the last: {have[-1:]}"
        return list(have)

    def _wait(self, condition: Callable[[], bool], within_s: float) -> None:
        """Waits until the condition holds, or time is up."""
        wait = Patience(within_s)
        with self._news:
            while not condition() and not wait.is_over:
                self._news.wait(0.5)
                if self._failure is not None:
                    raise self._failure
                self._check()

    def _collect(self) -> None:
        try:
            while not self._closing:
                messages = self._consumer.consume(5_000, 0.05)
                with self._news:
                    for message in messages:
                        error = message.error()
                        if error is None:
                            self._sort(str(message.topic()), message.value() or b"")
                        elif error.code() == KafkaError._PARTITION_EOF:
                            self._unread.discard((str(message.topic()), int(message.partition() or 0)))
                        elif error.code() not in _BROKER_AWAY and not error.retriable():
                            raise AssertionError(error)
                    if messages:
                        self._news.notify_all()
        except Exception as failure:  # noqa: BLE001 - raised again where somebody waits
            self._failure = failure

    def _sort(self, topic: str, value: bytes) -> None:
        if topic == self.topics.results:
            result = ServingResult.FromString(value)
            self.results[result.dataType].append(result)
            self.received_s[result.dataType].append(time.monotonic())
        elif topic == self.topics.status:
            status = ModelStatus.FromString(value)
            (self.reminders if status.waiting else self.statuses)[status.dataType].append(status)
        else:
            self.letters.append(DeadLetter.FromString(value))
