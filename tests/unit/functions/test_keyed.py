"""The keyed variant, element by element: which records are scored or wait, and what survives a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions import keyed as keyed_module
from functions.keyed import KeyedModelServing
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.settings import ServingSettings
from model_serving.testing import FakeEngine
from tests.unit.functions.emitted import (
    NOW,
    activation,
    batch,
    counts,
    letter,
    model,
    read,
    reading,
    result,
    swapped,
)
from tests.unit.functions.fake_flink import FakeFlink


@pytest.fixture
def keyed(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> Iterator[Callable[..., KeyedModelServing]]:
    """``keyed(**changes)`` makes an operator with these settings; all share the state, as after restarts."""
    opened: list[KeyedModelServing] = []

    def make(**changes: Any) -> KeyedModelServing:
        operator = KeyedModelServing(replace(settings, **changes))
        operator.open(flink)
        opened.append(operator)
        return operator

    yield make
    for operator in opened:
        operator.close()


def take_model(operator: KeyedModelServing, flink: FakeFlink, order: tuple[str, bytes]) -> list[Any]:
    flink.key = order[0]
    return read(operator.process_element1(order, flink))


def take_records(operator: KeyedModelServing, flink: FakeFlink, data_type: str, *records: bytes) -> list[Any]:
    flink.key = data_type
    return read(operator.process_element2(batch(*records), flink))


def test_records_are_scored_by_the_model_of_their_data_type(keyed: Any, flink: FakeFlink) -> None:
    operator = keyed()
    assert take_model(operator, flink, activation(1, model("v1"))) == [swapped(1, "v1")]
    assert take_model(operator, flink, activation(1, model("v2", "lab"), data_type="lab")) == [
        swapped(1, "v2", data_type="lab")
    ]
    assert take_records(operator, flink, "hall", reading(1), reading(2)) == [result(1, "v1"), result(2, "v1")]
    assert take_records(operator, flink, "lab", reading(1, "lab")) == [result(101, "v2", "lab")]
    assert take_model(operator, flink, activation(2, model("v2"), "v1")) == [swapped(2, "v2", "v1")]
    assert take_records(operator, flink, "hall", reading(1)) == [result(101, "v2")]
    assert counts(flink) == {"records_scored": 4, "model_swaps": 3}


def test_one_row_has_records_of_several_data_types_each_with_its_own_state(
    keyed: Any, flink: FakeFlink
) -> None:
    operator = keyed()
    take_model(operator, flink, activation(1, model("v1")))
    mixed = (reading(1, "lab"), reading(2), reading(3, "lab"), reading(4), reading(5, "roof"))
    assert take_records(operator, flink, "lab", *mixed) == [result(2, "v1"), result(4, "v1")]
    assert take_model(operator, flink, activation(1, model("v2", "lab"), data_type="lab")) == [
        swapped(1, "v2", data_type="lab"),
        result(101, "v2", "lab"),
        result(103, "v2", "lab"),
    ]
    operator.close()
    # Restored: every model is in the state of its own data type, and so is the record that waits.
    restored = keyed()
    assert take_records(restored, flink, "lab", *mixed) == [
        result(101, "v2", "lab"),
        result(103, "v2", "lab"),
        result(2, "v1"),
        result(4, "v1"),
    ]
    assert take_model(restored, flink, activation(1, model("v1", "roof"), data_type="roof")) == [
        swapped(1, "v1", data_type="roof"),
        result(5, "v1", "roof"),
        result(5, "v1", "roof"),
    ]


def test_records_of_another_instance_are_not_taken(keyed: Any, flink: FakeFlink) -> None:
    operator = keyed()
    with pytest.raises(RuntimeError, match=r"^records of data type 'odd' came to instance 1 instead of 9: "):
        take_records(operator, flink, "hall", reading(1), reading(2, "odd"))


def test_records_wait_in_their_order_and_what_does_not_fit_is_refused(keyed: Any, flink: FakeFlink) -> None:
    operator = keyed()
    assert take_records(operator, flink, "hall", reading(1), reading(2)) == []
    full = "no model for data type 'hall': 3 records wait for one already (--buffer-limit)"
    assert take_records(operator, flink, "hall", reading(3), reading(4), reading(5)) == [
        letter(DeadLetter.NO_MODEL, full, reading(4), dataType="hall"),
        letter(DeadLetter.NO_MODEL, full, reading(5), dataType="hall"),
    ]
    assert take_records(operator, flink, "hall", reading(7)) == [
        letter(DeadLetter.NO_MODEL, full, reading(7), dataType="hall")
    ]
    # The others have a buffer of their own.
    assert take_records(operator, flink, "lab", reading(6, "lab")) == []
    assert take_model(operator, flink, activation(1, model("v1"))) == [
        swapped(1, "v1"),
        result(1, "v1"),
        result(2, "v1"),
        result(3, "v1"),
    ]
    assert take_model(operator, flink, activation(2, model("v2"), "v1")) == [swapped(2, "v2", "v1")]
    assert counts(flink) == {
        "records_scored": 3,
        "records_dead_lettered": 3,
        "dead_letters: no_model": 3,
        "model_swaps": 2,
        "records_waiting": 1,
    }


def test_records_that_wait_for_long_are_said_on_the_status_topic(keyed: Any, flink: FakeFlink) -> None:
    operator = keyed()
    take_model(operator, flink, activation(1, model("v1", "lab"), data_type="lab"))
    assert take_records(operator, flink, "hall", reading(1), reading(2)) == []
    assert flink.later == [(10_000, "hall")]
    flink.key, flink.now = "hall", 10_000

    def said(count: int) -> Any:
        text = f"{count} records wait for a model of data type 'hall': publish one"
        status = ModelStatus(dataType="hall", ts=NOW, detail=text, subtask=1, waiting=count)
        return "hall", 0, "keyed", status

    assert read(operator.on_timer(10_000, flink)) == [said(2)]
    assert flink.later[-1] == (70_000, "hall")
    assert read(operator.on_timer(70_000, flink)) == [], "nothing new"
    take_records(operator, flink, "hall", reading(3))
    assert flink.later[1:] == [(70_000, "hall")], "one timer looks after all that wait"
    assert read(operator.on_timer(70_000, flink)) == [said(3)]
    take_model(operator, flink, activation(1, model("v1")))
    assert "records_waiting" not in counts(flink)
    assert read(operator.on_timer(130_000, flink)) == []
    assert flink.later[-1] == (70_000, "hall"), "nobody waits, so nobody looks"


def test_a_full_buffer_is_scored_in_several_batches_in_order(
    keyed: Any, flink: FakeFlink, engine: FakeEngine
) -> None:
    operator = keyed(waiting=WaitingPolicy(NoModelPolicy.BUFFER, limit=2_000, bounded=False))
    records = [reading(number + 1) for number in range(1_100)]
    for start in range(0, 1_100, 100):
        assert take_records(operator, flink, "hall", *records[start : start + 100]) == []
    emitted = take_model(operator, flink, activation(1, model("v1")))
    assert [message.result for message in emitted[1:]] == [number + 1 for number in range(1_100)]
    assert [len(columns) for columns in engine.models[0].scored] == [512, 512, 76]


def test_waiting_records_outlive_a_restart(keyed: Any, flink: FakeFlink) -> None:
    assert take_records(keyed(), flink, "hall", reading(1)) == []
    restarted = keyed()
    assert take_records(restarted, flink, "hall", reading(2)) == []
    assert take_model(restarted, flink, activation(1, model("v1"))) == [
        swapped(1, "v1"),
        result(1, "v1"),
        result(2, "v1"),
    ]


def test_after_a_restart_the_model_is_loaded_at_its_first_record(
    keyed: Any, flink: FakeFlink, engine: FakeEngine
) -> None:
    first = keyed()
    take_model(first, flink, activation(1, model("v2")))
    first.close()
    engine.events.clear()
    restarted = keyed()
    assert engine.events == []
    assert take_records(restarted, flink, "hall", reading(1)) == [result(101, "v2")]
    assert take_records(restarted, flink, "hall", reading(2)) == [result(102, "v2")]
    assert engine.events == ["load v2"]


def test_after_a_removal_records_wait_again_and_a_restart_serves_nothing(
    keyed: Any, flink: FakeFlink
) -> None:
    operator = keyed()
    take_model(operator, flink, activation(1, model("v1")))
    assert take_model(operator, flink, activation(2, None, "v1")) == [swapped(2, "", "v1")]
    assert take_records(operator, flink, "hall", reading(1)) == []
    assert take_records(keyed(), flink, "hall", reading(2)) == []
    assert take_model(operator, flink, activation(3, model("v2"))) == [
        swapped(3, "v2"),
        result(101, "v2"),
        result(102, "v2"),
    ]


def test_a_record_that_cannot_be_scored_is_a_dead_letter_and_the_others_are_scored(
    keyed: Any, flink: FakeFlink
) -> None:
    operator = keyed()
    take_model(operator, flink, activation(1, model("v1", content=b"fails on 13")))
    assert take_records(operator, flink, "hall", reading(12), reading(13, people=2), reading(14)) == [
        result(12, "v1"),
        result(14, "v1"),
        letter(
            DeadLetter.SCORING_FAILED,
            "x is 13",
            reading(13, people=2),
            dataType="hall",
            model="model",
            version="v1",
        ),
    ]
    assert counts(flink) == {
        "records_scored": 2,
        "records_dead_lettered": 1,
        "dead_letters: scoring_failed": 1,
        "model_swaps": 1,
    }


def test_without_a_buffer_records_are_refused_or_dropped_and_counted(keyed: Any, flink: FakeFlink) -> None:
    refusing = keyed(waiting=WaitingPolicy(NoModelPolicy.DEAD_LETTER, limit=3, bounded=False))
    why = "no model for data type 'hall': publish one, then send the record again"
    assert take_records(refusing, flink, "hall", reading(1)) == [
        letter(DeadLetter.NO_MODEL, why, reading(1), dataType="hall")
    ]
    dropping = keyed(waiting=WaitingPolicy(NoModelPolicy.DROP, limit=3, bounded=False))
    assert take_records(dropping, flink, "hall", reading(1), reading(2)) == []
    assert counts(flink) == {"records_dead_lettered": 1, "dead_letters: no_model": 1, "records_dropped": 2}
    assert take_model(dropping, flink, activation(1, model("v1"))) == [swapped(1, "v1")]
    assert flink.timers == []


@pytest.mark.parametrize("no_model", NoModelPolicy)
def test_in_a_bounded_run_records_wait_for_the_end(
    keyed: Any, flink: FakeFlink, no_model: NoModelPolicy
) -> None:
    operator = keyed(waiting=WaitingPolicy(no_model, limit=1, bounded=True))
    for data_type in ("hall", "lab"):
        records = [reading(number, data_type) for number in (1, 2, 3)]
        assert take_records(operator, flink, data_type, *records) == []
    assert flink.timers == [(2**63 - 2, "hall"), (2**63 - 2, "lab")]
    assert take_model(operator, flink, activation(1, model("v1"))) == [
        swapped(1, "v1"),
        *(result(number, "v1") for number in (1, 2, 3)),
    ]
    at_end = {}
    for timer, data_type in flink.timers:
        flink.key = data_type
        at_end[data_type] = read(operator.on_timer(timer, flink))
    why = "no model for data type 'lab': none came before the end of the input"
    refused = [
        letter(DeadLetter.NO_MODEL, why, reading(number, "lab"), dataType="lab") for number in (1, 2, 3)
    ]
    drops = no_model is NoModelPolicy.DROP
    assert at_end == {"hall": [], "lab": [] if drops else refused}
    assert counts(flink) == {
        "records_scored": 3,
        "model_swaps": 1,
        **({"records_dropped": 3} if drops else {"records_dead_lettered": 3, "dead_letters: no_model": 3}),
    }


def due(flink: FakeFlink, data_type: str) -> int:
    """Moves the time to the next timer of the data type and takes the timer away."""
    time, _ = timer = min(each for each in flink.later if each[1] == data_type)
    flink.later.remove(timer)
    flink.key, flink.now = data_type, max(flink.now, time)
    return time


def test_records_wait_for_a_model_server_and_timers_look_whether_it_is_back(
    keyed: Any, flink: FakeFlink, engine: FakeEngine
) -> None:
    operator = keyed()
    take_model(operator, flink, activation(1, model("v1")))
    engine.goes_away()
    assert take_records(operator, flink, "hall", reading(1)) == []
    assert take_records(operator, flink, "hall", reading(2)) == []
    times = sorted(time for time, _ in flink.later)
    assert (times[:3], len(times)) == ([100, 1000, 2000], 31 + 2), "the look, the guards, the reminder"
    assert read(operator.on_timer(due(flink, "hall"), flink)) == []
    assert min(flink.later) == (200, "hall")
    engine.comes_back()
    assert read(operator.on_timer(due(flink, "hall"), flink)) == [result(1, "v1"), result(2, "v1")]
    assert flink.later == [(10_000, "hall")], "only the reminder is left, and finds nothing"
    assert read(operator.on_timer(due(flink, "hall"), flink)) == []
    assert flink.later == []
    assert counts(flink) == {"records_scored": 2, "model_swaps": 1}


def test_after_a_restart_a_guard_looks_after_them(keyed: Any, flink: FakeFlink, engine: FakeEngine) -> None:
    first = keyed()
    take_model(first, flink, activation(1, model("v1")))
    engine.goes_away()
    take_records(first, flink, "hall", reading(1))
    first.close()
    # A checkpoint between a timer that fired and the next one has only the guards.
    flink.later = [timer for timer in flink.later if timer[0] not in (100, 10_000)]
    restarted = keyed()
    assert read(restarted.on_timer(due(flink, "hall"), flink))[0][3].detail == "1 record waits: it is away"
    engine.comes_back()
    assert read(restarted.on_timer(due(flink, "hall"), flink)) == [result(1, "v1")]


def test_a_full_buffer_holds_the_next_records_back_and_then_takes_them(
    keyed: Any, flink: FakeFlink, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(keyed_module, "_pause", paused.append)
    monkeypatch.setattr(keyed_module, "_HOLD_BACK_S", 0.0)
    operator = keyed()
    take_model(operator, flink, activation(1, model("v1")))
    engine.goes_away()
    for number in (1, 2, 3, 4, 5):
        assert take_records(operator, flink, "hall", reading(number)) == [], "nothing is refused"
    assert counts(flink)["records_waiting"] == 5
    monkeypatch.setattr(keyed_module, "_HOLD_BACK_S", 60.0)

    def pause(seconds: float) -> None:
        paused.append(seconds)
        engine.comes_back()

    monkeypatch.setattr(keyed_module, "_pause", pause)
    assert take_records(operator, flink, "hall", reading(6)) == [
        result(number, "v1") for number in (1, 2, 3, 4, 5, 6)
    ]
    assert paused == [0.1]


def test_a_bounded_run_waits_for_the_server_at_its_end_and_then_gives_the_records_up(
    keyed: Any, flink: FakeFlink, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded = WaitingPolicy(NoModelPolicy.BUFFER, limit=1, bounded=True)
    for comes_back in (True, False):
        operator = keyed(waiting=bounded, remote_timeout_ms=60_000 if comes_back else 1)
        engine.comes_back()
        take_model(operator, flink, activation(1, model("v1")))
        engine.goes_away()
        take_records(operator, flink, "hall", reading(1), reading(2))

        def pause(seconds: float, *, is_over: bool = comes_back) -> None:
            if is_over:
                engine.comes_back()

        monkeypatch.setattr(keyed_module, "_pause", pause)
        flink.key = "hall"
        emitted = read(operator.on_timer(2**63 - 2, flink))
        expected: list[Any] = [result(1, "v1"), result(2, "v1")]
        if not comes_back:
            expected = [
                letter(DeadLetter.SCORING_FAILED, "it is away", reading(number), dataType="hall")
                for number in (1, 2)
            ]
        assert emitted == expected
        operator.close()
