"""The run of the demo: sends models in turn and records at a steady rate, and counts what comes back.

It uses Kafka, but not Flink.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from model_serving.client.decoding import kind_of_topic, parse
from model_serving.client.demo.screen import Screen
from model_serving.client.demo.tally import Tally
from model_serving.client.errors import ClientError
from model_serving.client.model_messages import Content, ModelToPublish, build_command, build_message
from model_serving.client.publishing import send_at_rate, send_message
from model_serving.client.record_files import FileRecord, RecordType
from model_serving.core.messages import Command
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.receiving import Received, Start, TopicReader
from model_serving.messaging.sending import Sender
from model_serving.messaging.topics import TopicNames
from model_serving.protos.modelstatus_pb2 import ModelStatus

__all__ = ["DemoRun"]

_WARM_UP = "warm-up"
_PREPARE_DEADLINE_S = 300.0
_SWAP_DEADLINE_S = 120.0
_DRAIN_SILENCE_S = 30.0
_POLL_S = 0.1


class DemoRun:
    """A context manager around one run: call `prepare`, then `stream`, then `failures`.

    Args:
        kafka: a running Kafka.
        topics: the topics that the job uses.
        data_type: the data type of the records.
        screen: shows the run.
        check: raises an error when the job has ended.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        topics: TopicNames,
        data_type: str,
        screen: Screen,
        *,
        check: Callable[[], None],
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._data_type = data_type
        self._screen = screen
        self._check = check
        self._reader = TopicReader(
            kafka, [topics.results, topics.dead_letters, topics.status], start=Start.NOW
        )
        self._models = Sender(kafka, topics.models, linger_ms=0, compressed=True)
        self._began = time.monotonic()
        self.tally = Tally(data_type, topics)
        self.sent = 0

    def __enter__(self) -> Self:
        self._reader.__enter__()
        self._models.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._models.__exit__(kind, error, trace)
        self._reader.__exit__(kind, error, trace)

    def prepare(self, models: Sequence[ModelToPublish]) -> None:
        """Waits until the job runs and has loaded every model once, for a data type without records.

        So each model library is imported before records flow, which takes many seconds for TensorFlow.

        Raises:
            ClientError: a model is rejected, the job has ended, or the job takes too long.
        """
        self._screen.say(f"trying the {len(models)} models (the first TensorFlow model takes a while) ...")
        for model in models:
            self._publish(model, _WARM_UP)
        waiting = len(models)
        end = time.monotonic() + _PREPARE_DEADLINE_S
        while waiting:
            self._check()
            if time.monotonic() > end:
                raise ClientError(f"the job is not live after {_PREPARE_DEADLINE_S:.0f} s: look at its log")
            for status in self._statuses(self._reader.poll(_POLL_S)):
                if status.state == ModelStatus.REJECTED:
                    raise ClientError(f"the job rejects the model {status.name}: {status.detail}")
                waiting -= 1
        send_message(self._models, build_command(Command.REMOVE, data_type=_WARM_UP), None)

    def stream(
        self,
        models: Sequence[ModelToPublish],
        records: Iterable[FileRecord],
        record_type: RecordType,
        *,
        rate: float,
        seconds: float,
    ) -> None:
        """Publishes the models in turn while records flow, each for its share of ``seconds``.

        Then it waits for the results of the last records.

        Raises:
            ClientError: the job has ended, a model takes too long, or Kafka fails.
        """
        self._began = time.monotonic()
        self._publish(models[0], self._data_type)
        self._until(partial(self._has_swaps, 1), f"{models[0].name} does not serve")
        flow = _Flow(self._kafka, self._topics.data, records, record_type, rate)
        with self._screen.streaming():
            with flow:
                # Connecting takes a while, so the first model's time begins with the first result.
                self._until(lambda: self.tally.settled > 0, "no record came back", flow)
                start_s = self._at_s()
                for turn, model in enumerate(models):
                    if turn:
                        self._publish(model, self._data_type)
                    end_s = start_s + seconds * (turn + 1) / len(models)
                    while self._at_s() < end_s:
                        self._step(flow)
                    self._until(
                        partial(self._has_swaps, turn + 1), f"nothing was heard of {model.name}", flow
                    )
                    # A host that works in batches may come to the next model before it has scored a record.
                    self._until(
                        partial(self._has_had_its_turn, model.name), f"no result of {model.name}", flow
                    )
            self._drain(flow)

    def failures(self, models: Sequence[ModelToPublish]) -> list[str]:
        """Returns a line for each thing that went wrong."""
        found = []
        # The dashboard is there to be tried: a model that its user sent may well be rejected.
        names = {model.name for model in models}
        if rejected := [swap for swap in self.tally.swaps if swap.rejected and swap.name in names]:
            found.append(f"{len(rejected)} models were rejected, the first: {rejected[0].rejected}")
        if self.tally.settled != self.sent:
            found.append(f"{self.sent:,} records were sent and {self.tally.settled:,} came back")
        if idle := [model.name for model in models if model.name not in self.tally.names]:
            found.append(f"no result came from {', '.join(idle)}")
        if self.tally.dead_records:
            found.append(f"records became dead letters: {dict(self.tally.dead_records)}")
        return found

    def _publish(self, model: ModelToPublish, data_type: str) -> None:
        message = build_message(model, data_type=data_type, content=Content.DATA)
        send_message(self._models, message, None)

    def _has_swaps(self, count: int) -> bool:
        return len(self.tally.swaps) >= count

    def _has_had_its_turn(self, name: str) -> bool:
        """Whether the model has scored a record, or does not serve: refused, or replaced by the user."""
        serving = self.tally.serving
        return serving is None or serving.name != name or name in self.tally.names

    def _until(self, done: Callable[[], bool], what: str, flow: _Flow | None = None) -> None:
        end = time.monotonic() + _SWAP_DEADLINE_S
        while not done():
            if time.monotonic() > end:
                raise ClientError(f"{what} after {_SWAP_DEADLINE_S:.0f} s: look at the job's log")
            self._step(flow)

    def _drain(self, flow: _Flow) -> None:
        """Waits for the last results, until no result has come for a while."""
        self.sent = flow.sent
        heard, settled = time.monotonic(), self.tally.settled
        while self.tally.settled < self.sent and time.monotonic() - heard < _DRAIN_SILENCE_S:
            self._step(flow)
            if self.tally.settled != settled:
                heard, settled = time.monotonic(), self.tally.settled

    def _step(self, flow: _Flow | None) -> None:
        self._check()
        received = self._reader.poll(_POLL_S)
        for one in received:
            if (kind := kind_of_topic(one.topic, self._topics)) is not None:
                self.tally.add(kind, one.payload, at_s=self._at_s())
        if flow is not None:
            self.sent = flow.sent
            flow.check()
            self._screen.show(self.tally, at_s=self._at_s(), sent=self.sent)

    def _at_s(self) -> float:
        return time.monotonic() - self._began

    def _statuses(self, received: Iterable[Received]) -> Iterable[ModelStatus]:
        for one in received:
            if one.topic == self._topics.status:
                status = parse(ModelStatus, one.payload)
                if isinstance(status, ModelStatus) and status.dataType == _WARM_UP:
                    yield status


class _Flow:
    """Sends records from a thread of its own while the context is open."""

    def __init__(
        self,
        kafka: KafkaAccess,
        topic: str,
        records: Iterable[FileRecord],
        record_type: RecordType,
        rate: float,
    ) -> None:
        self._sender = Sender(kafka, topic, linger_ms=0)
        self._records = records
        self._record_type = record_type
        self._rate = rate
        self._stopping = threading.Event()
        self._failure: ClientError | MessagingError | None = None
        self._thread = threading.Thread(target=self._send, name="records", daemon=True)
        self.sent = 0

    def __enter__(self) -> Self:
        self._sender.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        if kind is None:
            self.check()
        self._sender.__exit__(kind, error, trace)

    def check(self) -> None:
        """Raises the error of the thread, if there is one."""
        if self._failure is not None:
            raise self._failure

    def _send(self) -> None:
        try:
            for newly in send_at_rate(
                self._sender, self._records, record_type=self._record_type, rate=self._rate
            ):
                self.sent += newly
                if self._stopping.is_set():
                    return
        except (ClientError, MessagingError) as error:
            self._failure = error
