"""Routing, admission, the broadcast variant and the confirmation of swaps, element by element."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyflink.common import Row

from functions.admission import ModelAdmission
from functions.broadcast import BroadcastModelServing
from functions.intake import RouteModels, RouteRecords
from functions.swaps import ConfirmSwaps
from functions.types import ACTIVATIONS, ROLLBACKS, SWAP_REPORTS, UNMATCHED
from model_serving.core.admission.signing import sign
from model_serving.core.state import Activation, decode_activation
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.settings import ServingSettings
from model_serving.testing import FakeEngine, Script
from tests.unit.functions.emitted import (
    NOW,
    activation,
    letter,
    model,
    read,
    reading,
    result,
    swapped,
)
from tests.unit.functions.fake_flink import FakeFlink


def test_a_vector_of_records_is_sorted_by_instance_and_data_type_in_its_order(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> None:
    route = RouteRecords(settings)
    route.open(flink)
    vector = (
        *(reading(1), reading(5, "odd"), reading(2, "lab"), b"\xff", reading(3), None, reading(0)),
        *(reading(4, "lab"), reading(6, "odd")),
    )
    assert read(route.process_element((vector,), flink)) == [
        letter(
            DeadLetter.UNPARSABLE,
            "not a SensorReading message: Error parsing message with type 'SensorReading'",
            b"\xff",
        ),
        letter(DeadLetter.INVALID_RECORD, "the SensorReading has no dataType", b""),
        letter(DeadLetter.INVALID_RECORD, "the SensorReading has none of its fields set", reading(0)),
        ("hall", [reading(1), reading(3), reading(2, "lab"), reading(4, "lab")]),
        ("odd", [reading(5, "odd"), reading(6, "odd")]),
    ]


def test_model_messages_are_routed_by_data_type_or_rejected(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> None:
    route = RouteModels(settings)
    route.open(flink)
    good = ModelDescriptor(dataType="hall", data=b"v1").SerializeToString()
    assert list(route.process_element(good, flink)) == [Row("hall", (good, 0))]
    nobody = ModelDescriptor(name="m", data=b"v1").SerializeToString()
    for payload, reason, why in (
        (
            b"junk",
            DeadLetter.UNPARSABLE,
            "not a ModelDescriptor message: Error parsing message with type 'ModelDescriptor'",
        ),
        (
            nobody,
            DeadLetter.MODEL_REJECTED,
            "the model message has no dataType: say which records the model scores",
        ),
    ):
        assert read(route.process_element(payload, flink)) == [
            letter(reason, why, payload, "models"),
            ModelStatus(state=ModelStatus.REJECTED, ts=NOW, detail=why, subtask=1),
        ]


def test_a_job_with_keys_takes_signed_model_messages_only(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine, tmp_path: Path
) -> None:
    key = bytes(range(32))
    (tmp_path / "keys").write_text(key.hex())
    route = RouteModels(replace(settings, model_key_file=str(tmp_path / "keys")))
    route.open(flink)
    plain = ModelDescriptor(dataType="hall", data=b"v1").SerializeToString()
    command = ModelDescriptor(dataType="hall", command=ModelDescriptor.REMOVE).SerializeToString()
    far = ModelDescriptor(dataType="hall", location="m", sha256="00").SerializeToString()
    for good in (sign(plain, key), sign(command, key), sign(far, key)):
        assert list(route.process_element(good, flink)) == [Row("hall", (good, 0))]
    without_digest = sign(ModelDescriptor(dataType="hall", location="m").SerializeToString(), key)
    for payload, why in (
        (plain, "the model message is not signed: publish it with --model-key-file"),
        (command, "the model message is not signed: publish it with --model-key-file"),
        (
            sign(plain, bytes(32)),
            (
                "the signature of the model message is not by a key of this job: the message was changed on "
                "its way, or published with another key"
            ),
        ),
        (
            without_digest,
            "a signed message with a location needs the SHA-256 of the model there: set sha256, or send data",
        ),
    ):
        assert read(route.process_element(payload, flink)) == [
            letter(DeadLetter.MODEL_REJECTED, why, payload, "models"),
            ModelStatus(state=ModelStatus.REJECTED, ts=NOW, detail=why, subtask=1),
        ]


@pytest.mark.parametrize("keys", [False, True])
def test_a_model_that_fails_too_often_is_taken_back_by_the_models_topic(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine, tmp_path: Path, keys: bool
) -> None:
    if keys:
        (tmp_path / "keys").write_text(bytes(range(32)).hex())
        settings = replace(settings, model_key_file=str(tmp_path / "keys"))
    engine.scripts[b"v2"] = Script(fields=("temperature",), x="temperature", poison=9.0)
    with closing(BroadcastModelServing(replace(settings, failure_threshold=2))) as serving:
        serving.open(flink)
        read(serving.process_broadcast_element(activation(2, model("v2"), "v1"), flink))
        emitted = list(serving.process_element(((reading(9), reading(1), reading(9), reading(9)),), flink))
    rollback = ModelDescriptor(
        name="model",
        description="2 failures in a row (x is 9)",
        dataType="hall",
        version="v2",
        command=ModelDescriptor.ROLLBACK,
    ).SerializeToString()
    if keys:
        rollback = sign(rollback, bytes(range(32)))
    assert [element[1] for element in emitted if element[0] is ROLLBACKS] == [rollback]


def test_a_model_that_is_let_in_goes_to_the_serving_operators_and_is_kept(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> None:
    def offered(admit: ModelAdmission, descriptor: ModelDescriptor) -> Activation:
        flink.key = "hall"
        (element,) = admit.process_element((descriptor.SerializeToString(), 0), flink)
        tag, (data_type, order) = element
        assert (tag, data_type) == (ACTIVATIONS, "hall")
        return decode_activation(order)

    def deploy(version: str) -> ModelDescriptor:
        return ModelDescriptor(
            name="model",
            dataType="hall",
            modeltype=ModelDescriptor.ONNX,
            version=version,
            data=version.encode(),
        )

    first = ModelAdmission(settings)
    first.open(flink)
    with closing(first):
        assert offered(first, deploy("v1")) == Activation("hall", 1, model("v1"))
        assert offered(first, deploy("v2")) == Activation("hall", 2, model("v2"), previous="v1")
    restored = ModelAdmission(settings)
    restored.open(flink)
    with closing(restored):
        back = offered(restored, ModelDescriptor(dataType="hall", command=ModelDescriptor.ROLLBACK))
        assert back == Activation("hall", 3, model("v1"), previous="v2", detail="rolled back", fallback=True)


def test_a_model_that_is_not_let_in_is_a_dead_letter_and_a_status(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> None:
    admit = ModelAdmission(settings)
    admit.open(flink)
    flink.key = "hall"
    payload = ModelDescriptor(name="model", dataType="hall", version="v9", data=b"broken").SerializeToString()
    about: dict[str, Any] = {"dataType": "hall", "version": "v9"}
    with closing(admit):
        assert read(admit.process_element((payload, 0), flink), ModelStatus) == [
            letter(DeadLetter.MODEL_REJECTED, "not a model", payload, "models", model="model", **about),
            ModelStatus(
                name="model",
                state=ModelStatus.REJECTED,
                ts=NOW,
                detail="not a model",
                subtask=1,
                size=len(b"broken"),
                **about,
            ),
        ]


def test_broadcast_scores_what_it_has_a_model_for_and_hands_on_the_rest(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> None:
    operator = BroadcastModelServing(settings)
    operator.open(flink)
    with closing(operator):
        order = activation(1, model("v2"))
        assert read(operator.process_broadcast_element(order, flink)) == [
            swapped(1, "v2", reporter="broadcast 1")
        ]
        vector = (reading(1), reading(2, "lab"), b"", reading(3), reading(4, "lab"))
        assert read(operator.process_element((vector,), flink)) == [
            result(101, "v2"),
            result(103, "v2"),
            letter(DeadLetter.INVALID_RECORD, "the SensorReading has no dataType", b""),
            (UNMATCHED, ("lab", [reading(2, "lab"), reading(4, "lab")])),
        ]
        removal = activation(2, None, "v2")
        assert read(operator.process_broadcast_element(removal, flink)) == [
            swapped(2, "", "v2", reporter="broadcast 1")
        ]
        assert read(operator.process_element(((reading(1),),), flink)) == [
            (UNMATCHED, ("hall", [reading(1)]))
        ]


def test_broadcast_loads_after_a_restart_at_the_first_record(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> None:
    first = BroadcastModelServing(settings)
    first.open(flink)
    list(first.process_broadcast_element(activation(1, model("v2")), flink))
    first.close()
    engine.events.clear()
    restarted = BroadcastModelServing(settings)
    restarted.open(flink)
    with closing(restarted):
        assert engine.events == []
        assert read(restarted.process_element(((reading(1),),), flink)) == [result(101, "v2")]
        assert engine.events == ["load v2"]


def test_what_need_not_be_confirmed_is_written_at_once(flink: FakeFlink) -> None:
    confirm = ConfirmSwaps("xyz")
    confirm.open(flink)
    flink.key = "hall"
    assert list(confirm.process_element(("hall", 0, "x", b"cannot be loaded"), flink)) == [
        b"cannot be loaded"
    ]


def test_a_swap_is_confirmed_once_when_every_instance_has_reported(flink: FakeFlink) -> None:
    confirm = ConfirmSwaps("xyz")
    confirm.open(flink)
    flink.key = "hall"
    reports = [
        *((1, "x", b"a"), (1, "y", b"b"), (2, "x", b"c"), (1, "z", b"d")),
        *((2, "y", b"e"), (2, "z", b"f"), (3, "x", b"g")),
    ]
    emitted = [list(confirm.process_element(("hall", *report), flink)) for report in reports]
    assert emitted == [[], [], [], [b"d"], [], [b"f"], []]


def test_a_report_that_comes_twice_counts_once(flink: FakeFlink) -> None:
    confirm = ConfirmSwaps("xy")
    confirm.open(flink)
    flink.key = "hall"
    reports = [(1, "x", b"a"), (1, "x", b"b"), (1, "y", b"c"), (1, "x", b"d"), (2, "y", b"e"), (2, "x", b"f")]
    emitted = [list(confirm.process_element(("hall", *report), flink)) for report in reports]
    assert emitted == [[], [], [b"c"], [], [], [b"f"]]
    assert list(flink.get_map_state(SWAP_REPORTS).keys()) == []


def test_the_report_of_an_instance_that_is_no_more_does_not_count(flink: FakeFlink) -> None:
    before = ConfirmSwaps("xyz")
    before.open(flink)
    flink.key = "hall"
    assert list(before.process_element(("hall", 1, "z", b"a"), flink)) == []
    restored = ConfirmSwaps("xy")
    restored.open(flink)
    emitted = [list(restored.process_element(("hall", 1, who, who.encode()), flink)) for who in "xy"]
    assert emitted == [[], [b"y"]]


def test_one_instance_is_confirmed_at_once(flink: FakeFlink) -> None:
    confirm = ConfirmSwaps("x")
    confirm.open(flink)
    assert list(confirm.process_element(("hall", 1, "x", b"a"), flink)) == [b"a"]
