"""The input and the output of operators, as values that a test can compare as a whole."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from typing import Any

from pyflink.common import Row

from functions.types import DEAD_LETTERS, STATUSES, SWAPS, UNMATCHED
from model_serving.core.batches import RecordBatch
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.state import Activation, encode_activation
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.wire import PackedBatches, RecordCodec
from tests.protos.sensorreading_pb2 import SensorReading
from tests.unit.functions.fake_flink import FakeFlink

__all__ = ["NOW", "activation", "batch", "counts", "letter", "model", "read", "reading", "result", "swapped"]

_CODEC = RecordCodec("tests.protos.sensorreading_pb2:SensorReading")

NOW = 1_000_000
"""The time at which the fake clock starts and stands still."""


def reading(temperature: float, data_type: str = "hall", **fields: Any) -> bytes:
    return SensorReading(
        dataType=data_type, ts=NOW - 5, temperature=temperature, **fields
    ).SerializeToString()


def batch(*records: bytes) -> PackedBatches:
    """Readings as keyed operators get them: packed, and pickled by Flink on their way."""
    sent: PackedBatches = pickle.loads(pickle.dumps(_CODEC.pack(_CODEC.decode(records).batches)))
    return sent


def _records(keyed: Row) -> list[bytes]:
    """The records in a row that an operator emits for keying."""
    key, packed = keyed
    sent = _CODEC.unpack(packed)
    again = _CODEC.decode([payload for batch in sent for payload in batch.payloads]).batches
    assert key == sent[0].data_type
    assert [_values(batch) for batch in sent] == [_values(batch) for batch in again]
    return [payload for batch in sent for payload in batch.payloads]


def _values(batch: RecordBatch) -> tuple[Any, ...]:
    columns = batch.features.columns(("temperature", "window_open", "people", "room"))
    return batch.data_type, list(batch.payloads), batch.submission_ts.tolist(), columns.tolist()


def model(version: str, data_type: str = "hall", content: bytes = b"") -> ModelToServe:
    content = content or version.encode()
    return ModelToServe(
        data_type, "model", ModelType.ONNX, version, hashlib.sha256(content).hexdigest(), content
    )


def activation(
    sequence: int, to_serve: ModelToServe | None, previous: str = "", data_type: str = "hall"
) -> Any:
    order = Activation(data_type, sequence, to_serve, previous, load_ms=1.5)
    return data_type, encode_activation(order)


def result(temperature: float, version: str, data_type: str = "hall") -> ServingResult:
    return ServingResult(
        name="model",
        dataType=data_type,
        submissionTs=NOW - 5,
        result=temperature,
        version=version,
        modeltype=ModelDescriptor.ONNX,
        served_ts=NOW,
        latency_ms=5,
    )


def letter(reason: Any, detail: str, payload: bytes, topic: str = "mdata", **fields: str) -> DeadLetter:
    return DeadLetter(reason=reason, detail=detail, payload=payload, topic=topic, ts=NOW, **fields)


def swapped(
    sequence: int,
    version: str,
    previous: str = "",
    data_type: str = "hall",
    reporter: str = "keyed",
    content: str = "",
) -> Any:
    status = ModelStatus(
        dataType=data_type,
        name="model" if version else "",
        version=version or previous,
        state=ModelStatus.ACTIVE if version else ModelStatus.REMOVED,
        ts=NOW,
        previous=previous if version else "",
        load_ms=1.5,
        subtask=1,
        modeltype="ONNX" if version else "TENSORFLOW",
        sha256=hashlib.sha256((content or version).encode()).hexdigest() if version else "",
        size=len(content or version),
    )
    return data_type, sequence, reporter, status


def read(emitted: Iterator[Any], main: Any = ServingResult) -> list[Any]:
    """The decoded output of an operator: messages of the main output, (tag, value) of the side outputs.

    Batches of records are given as their bytes.
    """
    messages: dict[str, Any] = {DEAD_LETTERS.tag_id: DeadLetter, STATUSES.tag_id: ModelStatus}
    decoded: list[Any] = []
    for element in emitted:
        if isinstance(element, bytes):
            decoded.append(main.FromString(element))
        elif isinstance(element, tuple) and element[0] is SWAPS:
            *report, status = element[1]
            decoded.append((*report, ModelStatus.FromString(status)))
        elif isinstance(element, tuple) and getattr(element[0], "tag_id", None) in messages:
            decoded.append(messages[element[0].tag_id].FromString(element[1]))
        elif isinstance(element, tuple) and element[0] is UNMATCHED:
            decoded.append((UNMATCHED, (element[1][0], _records(element[1]))))
        elif isinstance(element, Row):
            decoded.append((element[0], _records(element)))
        else:
            decoded.append(element)
    return decoded


def counts(flink: FakeFlink) -> dict[str, int]:
    return {name: counter.value for name, counter in flink.counts.items() if counter.value}
