"""A job without Flink: its result is 5 for every record, with the name of its data type's latest model."""

from __future__ import annotations

import threading
import time
from typing import Self

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.receiving import Start, TopicReader
from model_serving.messaging.sending import Sender
from model_serving.messaging.topics import TopicNames
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.winerecord_pb2 import WineRecord


class FakeJob:
    """Runs in a thread while the context is open. It rejects a model with the name ``bad``."""

    def __init__(self, kafka: KafkaAccess, topics: TopicNames, *, lose_every: int = 0) -> None:
        self._kafka = kafka
        self._topics = topics
        self._lose_every = lose_every
        self._serving: dict[str, ModelDescriptor] = {}
        self._records = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        inputs = [self._topics.models, self._topics.data]
        with (
            TopicReader(self._kafka, inputs, start=Start.BEGINNING) as reader,
            Sender(self._kafka, self._topics.results, linger_ms=0) as results,
            Sender(self._kafka, self._topics.status, linger_ms=0) as statuses,
        ):
            while not self._stopping.is_set():
                for received in reader.poll(0.05):
                    if received.topic == self._topics.models:
                        statuses.send(self._offer(ModelDescriptor.FromString(received.payload)))
                    else:
                        self._records += 1
                        if not self._lose_every or self._records % self._lose_every:
                            results.send(self._score(WineRecord.FromString(received.payload)))

    def _offer(self, model: ModelDescriptor) -> bytes:
        status = ModelStatus(dataType=model.dataType, ts=time.time_ns() // 1_000_000, load_ms=1.0)
        before = self._serving.get(model.dataType)
        status.previous = "" if before is None else before.sha256[:12]
        if model.command == ModelDescriptor.REMOVE:
            self._serving.pop(model.dataType, None)
            status.state = ModelStatus.REMOVED
            return status.SerializeToString()
        status.name, status.version = model.name, model.sha256[:12]
        if model.name == "bad":
            status.state, status.detail = ModelStatus.REJECTED, "it is bad"
        else:
            self._serving[model.dataType] = model
            status.state = ModelStatus.ACTIVE
        return status.SerializeToString()

    def _score(self, record: WineRecord) -> bytes:
        model = self._serving[record.dataType]
        now = time.time_ns() // 1_000_000
        return ServingResult(
            name=model.name,
            version=model.sha256[:12],
            modeltype=model.modeltype,
            dataType=record.dataType,
            submissionTs=record.ts,
            served_ts=now,
            latency_ms=now - record.ts,
            scoring_ns=1_000,
            result=5.0,
        ).SerializeToString()
