"""Status reports are combined into the model that serves now."""

from __future__ import annotations

from model_serving.client.status import Serving, fold
from model_serving.observe.values import Rejection
from model_serving.protos.modelstatus_pb2 import ModelStatus


def active(ts: int, version: str, previous: str = "", subtask: int = 0, load_ms: float = 1.0) -> ModelStatus:
    return ModelStatus(
        dataType="wine",
        name="m",
        version=version,
        state=ModelStatus.ACTIVE,
        ts=ts,
        previous=previous,
        subtask=subtask,
        load_ms=load_ms,
    )


def rejected(ts: int, version: str) -> ModelStatus:
    return ModelStatus(
        dataType="wine", name="m", version=version, state=ModelStatus.REJECTED, ts=ts, detail="no such field"
    )


def test_several_subtasks_report_one_change() -> None:
    reports = [
        active(10, "v1"),
        active(20, "v2", "v1", subtask=0, load_ms=5),
        active(12, "v1", subtask=1),
        active(22, "v2", "v1", subtask=1, load_ms=9),
    ]
    assert fold(reports) == {
        "wine": Serving(
            data_type="wine",
            state="ACTIVE",
            name="m",
            version="v2",
            previous="v1",
            since=20,
            load_ms=9,
            subtasks=(0, 1),
        )
    }


def test_a_rejection_leaves_the_old_model_serving_and_is_shown_until_another_serves() -> None:
    serving = Serving("wine", "ACTIVE", "m", "v1", "", 10, 1.0, (0,))
    assert fold([active(10, "v1"), rejected(11, "v2")])["wine"] == Serving(
        "wine", "ACTIVE", "m", "v1", "", 10, 1.0, (0,), Rejection("m", "v2", "no such field", 11)
    )
    assert fold([rejected(9, "v0"), active(10, "v1")])["wine"] == serving


def test_a_first_model_that_is_rejected_leaves_nothing_serving() -> None:
    assert fold([rejected(1, "v1")])["wine"] == Serving(
        "wine", rejected=Rejection("m", "v1", "no such field", 1)
    )


def test_a_removed_data_type_remembers_what_it_had() -> None:
    removal = ModelStatus(dataType="wine", state=ModelStatus.REMOVED, ts=30, version="v1", subtask=2)
    assert fold([active(10, "v1"), removal])["wine"] == Serving(
        "wine", "REMOVED", previous="v1", since=30, subtasks=(2,)
    )


def test_data_types_are_in_order_and_json_has_the_messages_names() -> None:
    other = ModelStatus(dataType="beer", name="b", version="w", state=ModelStatus.ACTIVE, ts=5)
    serving = fold([active(10, "v1"), other])
    assert list(serving) == ["beer", "wine"]
    assert serving["beer"].as_json_value() == {
        "dataType": "beer",
        "state": "ACTIVE",
        "name": "b",
        "version": "w",
        "previous": "",
        "since": 5,
        "load_ms": 0.0,
        "subtasks": (0,),
        "rejected": None,
        "waiting": 0,
        "detail": "",
    }


def test_what_the_job_says_of_the_model_that_serves_is_shown() -> None:
    first, second = active(10, "v1"), active(11, "v1")
    first.detail = "evaluator: ONNX Runtime"
    assert fold([first, second, rejected(12, "v2")])["wine"].detail == "evaluator: ONNX Runtime"
    assert fold([first, active(20, "v2")])["wine"].detail == ""


def test_data_types_whose_records_wait_are_shown_with_how_many_until_a_model_is_active() -> None:
    waits = [
        ModelStatus(dataType="Wine ", ts=5, waiting=2, detail="2 records wait"),
        ModelStatus(dataType="Wine ", ts=65, waiting=7, detail="7 records wait"),
    ]
    folded = fold([*waits, active(10, "v1")])
    assert folded["Wine "] == Serving("Wine ", waiting=7)
    assert folded["Wine "].as_json_value()["waiting"] == 7
    assert folded["wine"].waiting == 0
    late = ModelStatus(dataType="wine", ts=5, waiting=2)
    assert fold([late, active(10, "v1")])["wine"].waiting == 0
    # A data type that was removed: its records wait again, and the same version comes back.
    removed = ModelStatus(dataType="wine", state=ModelStatus.REMOVED, ts=20, version="v1")
    again = ModelStatus(dataType="wine", ts=40, waiting=3)
    assert fold([active(10, "v1"), removed, again])["wine"].waiting == 3
    assert fold([active(10, "v1"), removed, again, active(50, "v1")])["wine"].waiting == 0
