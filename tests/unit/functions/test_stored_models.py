"""The operators with models in the model store."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from functions.admission import ModelAdmission
from functions.broadcast import BroadcastModelServing
from functions.keyed import KeyedModelServing
from functions.types import ACTIVATIONS, ACTIVE_MODEL, HISTORY, KEPT_MODELS, broadcast_models
from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ContentUnavailable
from model_serving.core.messages import ModelToServe
from model_serving.core.state import decode_activation, decode_model
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.settings import ServingSettings
from model_serving.testing import FakeClock, FakeEngine, FakeModel
from tests.unit.functions.emitted import batch, read, reading, result
from tests.unit.functions.fake_flink import FakeFlink

RETENTION_MS = 60_000


@pytest.fixture
def stored(settings: ServingSettings, tmp_path: Path) -> ServingSettings:
    return replace(
        settings,
        keep_versions=1,
        model_store=f"file://{tmp_path}/models",
        inline_limit=1,
        model_store_retention_ms=RETENTION_MS,
        run="run-1",
    )


def contents(tmp_path: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def offered(admit: ModelAdmission, flink: FakeFlink, version: str) -> Any:
    """(data type, encoded activation) of a model that is admitted; fires the timers of its load."""
    flink.key = "hall"
    message = ModelDescriptor(
        name="model", dataType="hall", modeltype="ONNX", version=version, data=version.encode()
    )
    emitted = list(admit.process_element((message.SerializeToString(), 0), flink))
    while not emitted:
        emitted = fire(admit, flink)
    ((tag, activation),) = emitted
    assert tag is ACTIVATIONS
    return activation


def fire(admit: ModelAdmission, flink: FakeFlink) -> list[Any]:
    """Fires the first timer of processing time, and returns the output."""
    first = min(flink.later)
    flink.later.remove(first)
    return list(admit.on_timer(first[0], flink))


def test_activations_and_state_refer_to_the_store_and_timers_empty_it(
    stored: ServingSettings, flink: FakeFlink, engine: FakeEngine, clock: FakeClock, tmp_path: Path
) -> None:
    admit = ModelAdmission(stored)
    admit.open(flink)
    with closing(admit):
        model = decode_activation(offered(admit, flink, "v1")[1]).model
        assert isinstance(model, ModelToServe)
        assert (model.content, model.stored is not None, contents(tmp_path)) == (b"", True, [b"v1"])
        assert flink.later == []
        offered(admit, flink, "v2")
        due = clock.epoch_ms() + RETENTION_MS
        assert (contents(tmp_path), flink.later) == ([b"v1", b"v2"], [(due, "hall")])
        clock.pass_ns(RETENTION_MS * 1_000_000)
        assert fire(admit, flink) == []
        assert (contents(tmp_path), flink.later) == ([b"v2"], [])
    state = [flink.get_state(HISTORY).value(), *flink.get_map_state(KEPT_MODELS)._entries().values()]
    assert all(str(tmp_path).encode() not in value for value in state), "the store can be moved"


@pytest.mark.parametrize("variant", ["keyed", "broadcast"])
def test_a_restored_operator_fetches_its_model_or_fails_with_one_line(
    stored: ServingSettings, flink: FakeFlink, engine: FakeEngine, tmp_path: Path, variant: str
) -> None:
    def operator() -> Any:
        made: Any = KeyedModelServing(stored) if variant == "keyed" else BroadcastModelServing(stored)
        made.open(flink)
        return made

    def served(made: Any) -> list[Any]:
        if variant == "keyed":
            return read(made.process_element2(batch(reading(3)), flink))
        return read(made.process_element(((reading(3),),), flink))

    engine.scripts[b"v1"] = replace(engine.scripts[b"v1"], findings="it is good")
    admit = ModelAdmission(stored)
    admit.open(flink)
    with closing(admit):
        order = offered(admit, flink, "v1")
    with closing(operator()) as first:
        list(
            first.process_element1(order, flink)
            if variant == "keyed"
            else first.process_broadcast_element(order, flink)
        )
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.rename(tmp_path / "elsewhere")
    with (
        closing(operator()) as restored,
        pytest.raises(
            ContentUnavailable, match=r"^version 'v1' of data type 'hall' is not in the model store"
        ),
    ):
        served(restored)
    (tmp_path / "elsewhere").rename(path)
    with closing(operator()) as restored:
        assert served(restored) == [result(3, "v1")]
    # Admission's findings are used wherever the model serves.
    assert engine.findings == ["", "it is good", "it is good"]
    state = (
        flink.get_state(ACTIVE_MODEL).value()
        if variant == "keyed"
        else flink.get_broadcast_state(broadcast_models()).get("hall")
    )
    assert decode_model(state).content == b""


def test_nothing_is_deleted_while_a_model_loads_that_may_need_it_again(
    stored: ServingSettings,
    flink: FakeFlink,
    engine: FakeEngine,
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admit = ModelAdmission(stored)
    admit.open(flink)
    goes_on = threading.Event()
    load = engine.load

    def slow_load(model: ModelToServe, schema: RecordSchema) -> FakeModel:
        goes_on.wait()
        return load(model, schema)

    with closing(admit):
        offered(admit, flink, "v1")
        offered(admit, flink, "v2")
        (collection,) = flink.later
        flink.later.clear()
        monkeypatch.setattr(engine, "load", slow_load)
        monkeypatch.setattr("model_serving.core.admission.queue._QUICK_S", 0.01)
        message = ModelDescriptor(dataType="hall", modeltype="ONNX", version="v1", data=b"v1")
        assert list(admit.process_element((message.SerializeToString(), 0), flink)) == []
        clock.pass_ns(RETENTION_MS * 1_000_000)
        assert list(admit.on_timer(collection[0], flink)) == []
        assert contents(tmp_path) == [b"v1", b"v2"]
        goes_on.set()
        while not fire(admit, flink):
            pass
        assert contents(tmp_path) == [b"v1", b"v2"]
        clock.pass_ns(RETENTION_MS * 1_000_000)
        fire(admit, flink)
        assert contents(tmp_path) == [b"v1"]
