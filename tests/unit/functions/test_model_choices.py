"""The signature and the output that a message names reach the engines, also after a restore."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from functions.admission import ModelAdmission
from functions.broadcast import BroadcastModelServing
from functions.keyed import KeyedModelServing
from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelToServe
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.settings import ServingSettings
from model_serving.testing import FakeEngine, FakeModel
from tests.unit.functions.emitted import batch, read, reading, result
from tests.unit.functions.fake_flink import FakeFlink

ROLLBACK = ModelDescriptor(dataType="hall", command="ROLLBACK")


def offer(admit: ModelAdmission, flink: FakeFlink, message: ModelDescriptor) -> Any:
    """(data type, encoded activation) of a message that is carried out at once."""
    flink.key = "hall"
    ((_, activation),) = admit.process_element((message.SerializeToString(), 0), flink)
    return activation


def choosing(output: str) -> ModelDescriptor:
    return ModelDescriptor(
        dataType="hall",
        modeltype="TENSORFLOWSAVED",
        version="1",
        data=b"v1",
        signature_name="predict",
        result_output=output,
    )


@pytest.mark.parametrize("variant", ["keyed", "broadcast"])
def test_engines_get_what_the_message_names(
    settings: ServingSettings,
    flink: FakeFlink,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    variant: str,
) -> None:
    loaded: list[tuple[str, str]] = []
    load = engine.load

    def noting(model: ModelToServe, schema: RecordSchema) -> FakeModel:
        loaded.append((model.signature_name, model.result_output))
        return load(model, schema)

    def operator() -> Any:
        made: Any = KeyedModelServing(settings) if variant == "keyed" else BroadcastModelServing(settings)
        made.open(flink)
        return made

    def swap(made: Any, order: Any) -> None:
        flink.key = "hall"
        list(
            made.process_element1(order, flink)
            if variant == "keyed"
            else made.process_broadcast_element(order, flink)
        )

    def served(made: Any) -> list[Any]:
        if variant == "keyed":
            return read(made.process_element2(batch(reading(3)), flink))
        return read(made.process_element(((reading(3),),), flink))

    monkeypatch.setattr(engine, "load", noting)
    admit = ModelAdmission(settings)
    admit.open(flink)
    with closing(admit):
        first, second = (offer(admit, flink, choosing(output)) for output in ("dose", "risk"))
    with closing(operator()) as serving:
        swap(serving, first)
        swap(serving, second)
    assert loaded == [("predict", "dose"), ("predict", "risk")] * 2
    with closing(operator()) as restored:
        assert [type(one) for one in served(restored)] == [type(result(3, "1"))]
    assert loaded[4:] == [("predict", "risk")]
    # The version before is in the state of admission under the same version, with its own output.
    admit = ModelAdmission(settings)
    admit.open(flink)
    with closing(admit), closing(operator()) as serving:
        swap(serving, offer(admit, flink, ROLLBACK))
    assert loaded[5] == ("predict", "dose")
