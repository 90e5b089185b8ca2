"""Batches of a keyed job: which model scores which record, whoever carries the batch out, and how often."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.settings import ServingSettings
from model_serving.testing import FakeEngine, Script
from tests.jobs import eventually
from tests.unit.spark.keyed.fake_spark import FakeQuery
from tests.unit.spark.keyed.processes import Processes, command, deploy, reading, routed, told, tolds


def test_a_model_serves_the_records_of_its_own_batch(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    process = processes.start(settings)
    rows = routed(settings, models=[deploy("v1")], records=[reading(20), reading(21)])
    assert tolds(query.batch(process, rows)) == ["hall: v1 ACTIVE", "hall 20 by v1", "hall 21 by v1"]
    rows = routed(settings, models=[deploy("v2")], records=[reading(20)])
    assert tolds(query.batch(process, rows)) == ["hall: v2 ACTIVE", "hall 120 by v2"]
    rows = routed(settings, models=[command("ROLLBACK")], records=[reading(20)])
    assert tolds(query.batch(process, rows)) == ["hall: v1 ACTIVE", "hall 20 by v1"]
    rows = routed(settings, models=[command("REMOVE")], records=[reading(20)])
    assert tolds(query.batch(process, rows)) == ["hall: v1 REMOVED"]


def test_each_data_type_has_a_model_of_its_own(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    process = processes.start(settings)
    models = [deploy("v1"), deploy("v2", "lab"), deploy("broken", "attic")]
    records = [reading(20), reading(20, "lab"), reading(20, "attic"), reading(21)]
    assert sorted(tolds(query.batch(process, routed(settings, models=models, records=records)))) == [
        "MODEL_REJECTED attic",
        "attic: broken REJECTED",
        "hall 20 by v1",
        "hall 21 by v1",
        "hall: v1 ACTIVE",
        "lab 120 by v2",
        "lab: v2 ACTIVE",
    ]


def test_results_have_the_places_of_their_records(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    process = processes.start(settings)
    query.batch(process, routed(settings, records=[reading(20)], offset=7))
    rows = routed(settings, models=[deploy("v1")], records=[reading(21), reading(22)], offset=30)
    assert [emitted.origins for emitted in query.batch(process, rows) if emitted.results] == [[7], [30, 31]]


def test_records_wait_for_their_model_and_are_scored_in_order(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    process = processes.start(settings)
    assert tolds(query.batch(process, routed(settings, records=[reading(20), reading(21)]))) == []
    # The buffer has room for one more.
    given = query.batch(process, routed(settings, records=[reading(22), reading(23)]))
    assert tolds(given) == ["NO_MODEL hall"]
    rows = routed(settings, models=[deploy("v1")], records=[reading(24)])
    assert tolds(query.batch(process, rows)) == [
        "hall: v1 ACTIVE",
        *(f"hall {temperature} by v1" for temperature in (20, 21, 22, 24)),
    ]


@pytest.mark.parametrize(
    ("policy", "expected"), [(NoModelPolicy.DEAD_LETTER, ["NO_MODEL hall"]), (NoModelPolicy.DROP, [])]
)
def test_records_without_a_model_need_not_wait(
    settings: ServingSettings,
    processes: Processes,
    query: FakeQuery,
    policy: NoModelPolicy,
    expected: list[str],
) -> None:
    settings = replace(settings, waiting=WaitingPolicy(policy, limit=3, bounded=False))
    process = processes.start(settings)
    assert tolds(query.batch(process, routed(settings, records=[reading(20)]))) == expected
    rows = routed(settings, models=[deploy("v1")])
    assert tolds(query.batch(process, rows)) == ["hall: v1 ACTIVE"]


def test_the_status_topic_says_how_many_records_wait(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    process = processes.start(settings)
    query.batch(process, routed(settings, records=[reading(20)]))
    assert query.timers("hall") == {10_000}
    query.now_ms += 9_999
    assert tolds(query.batch(process)) == []
    query.now_ms += 1
    assert tolds(query.batch(process)) == ["hall: 1 wait"]
    assert query.timers("hall") == {60_000}
    query.now_ms += 60_000
    assert tolds(query.batch(process)) == []
    query.batch(process, routed(settings, models=[deploy("v1")]))
    query.now_ms += 60_000
    assert tolds(query.batch(process)) == []
    assert query.timers("hall") == set()


def test_a_process_that_gets_a_data_type_serves_with_the_model_in_its_state(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    first, second = processes.start(settings), processes.start(settings)
    query.batch(first, routed(settings, models=[deploy("v1")]))
    records = routed(settings, records=[reading(20)])
    assert tolds(query.batch(second, records)) == ["hall 20 by v1"]
    query.batch(second, routed(settings, models=[deploy("v2")]))
    assert tolds(query.batch(first, records)) == ["hall 120 by v2"]
    query.batch(second, routed(settings, models=[command("REMOVE")]))
    assert tolds(query.batch(first, records)) == []
    query.batch(first, routed(settings, models=[deploy("v2"), deploy("v1")]))
    back = routed(settings, models=[command("ROLLBACK")], records=[reading(20)])
    assert tolds(query.batch(second, back)) == ["hall: v2 ACTIVE", "hall 120 by v2"]
    assert tolds(query.batch(first, records)) == ["hall 120 by v2"]


def test_a_batch_that_fails_is_carried_out_again(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    process = processes.start(settings)
    query.batch(process, routed(settings, models=[deploy("v1")], records=[reading(20)]))
    rows = routed(settings, models=[deploy("v2")], records=[reading(20)])
    expected = ["hall: v2 ACTIVE", "hall 120 by v2"]
    assert tolds(query.batch(process, rows, fails=True)) == expected
    # Another batch sees nothing of the one that failed.
    assert tolds(query.batch(process, routed(settings, records=[reading(20)]), fails=True)) == [
        "hall 20 by v1"
    ]
    assert tolds(query.batch(process, rows)) == expected


def test_records_that_wait_are_kept_once_when_their_batch_is_repeated(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    process = processes.start(settings)
    rows = routed(settings, records=[reading(20), reading(21)])
    query.batch(process, rows, fails=True)
    query.batch(process, rows)
    given = query.batch(process, routed(settings, models=[deploy("v1")]))
    assert tolds(given) == ["hall: v1 ACTIVE", "hall 20 by v1", "hall 21 by v1"]


def test_an_error_in_the_middle_of_a_batch_leaves_nothing_behind(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    process = processes.start(settings)
    query.batch(process, routed(settings, models=[deploy("v1")]))

    def fails(emitted: object) -> None:
        raise OSError("the sink is gone")

    with pytest.raises(OSError, match="gone"):
        query.batch(process, routed(settings, models=[deploy("v2")]), after=fails)
    assert tolds(query.batch(process, routed(settings, records=[reading(20)]))) == ["hall 20 by v1"]


def test_scoring_with_a_loaded_model_writes_no_state(
    settings: ServingSettings, processes: Processes, query: FakeQuery, engine: FakeEngine
) -> None:
    process = processes.start(settings)
    query.batch(process, routed(settings, models=[deploy("v1")]))
    before = query.writes("hall")
    process.has_loaded = False
    query.batch(process, routed(settings, records=[reading(20)]))
    assert query.writes("hall") == before
    assert not process.has_loaded
    assert engine.events == ["load v1"]


@pytest.fixture
def gate(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The gate that the model ``slow`` waits for while it loads."""
    monkeypatch.setattr("model_serving.core.admission.queue._QUICK_S", 0.01)
    made = threading.Event()
    engine.scripts[b"slow"] = Script(fields=("temperature",), x="temperature", offset=1000, gate=made)
    yield made
    made.set()


def until_told(query: FakeQuery, process: object, count: int) -> list[str]:
    """Runs batches without rows until they have given ``count`` texts."""
    said: list[str] = []

    def enough() -> bool:
        query.now_ms += 100
        said.extend(tolds(query.batch(process)))  # type: ignore[arg-type]
        return len(said) >= count

    eventually(enough, lambda: str(said), within_s=30, step_s=0.001)
    return said


def test_a_model_that_loads_slowly_holds_up_no_record(
    settings: ServingSettings, processes: Processes, query: FakeQuery, gate: threading.Event
) -> None:
    process = processes.start(settings)
    assert until_told_by(query, process, routed(settings, models=[deploy("v1")])) == ["hall: v1 ACTIVE"]
    rows = routed(settings, models=[deploy("slow"), deploy("v2")], records=[reading(20)])
    assert tolds(query.batch(process, rows)) == ["hall 20 by v1"]
    assert tolds(query.batch(process, routed(settings, records=[reading(21)]))) == ["hall 21 by v1"]
    gate.set()
    assert until_told(query, process, 2) == ["hall: slow ACTIVE", "hall: v2 ACTIVE"]


def until_told_by(query: FakeQuery, process: object, rows: object) -> list[str]:
    first = tolds(query.batch(process, rows))  # type: ignore[arg-type]
    return first or until_told(query, process, 1)


def test_a_backlog_is_not_refused_while_its_first_model_loads(
    settings: ServingSettings,
    processes: Processes,
    query: FakeQuery,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = processes.start(settings)
    temperatures = range(20, 25)
    many = [reading(temperature) for temperature in temperatures]
    rows = routed(settings, models=[deploy("slow")], records=many)
    # The clock stands still while this process waits for the load.
    monkeypatch.setattr(process, "_pause", lambda seconds: gate.set())
    assert tolds(query.batch(process, rows)) == [
        "hall: slow ACTIVE",
        *(f"hall {temperature + 1000} by slow" for temperature in temperatures),
    ]


def test_a_model_that_never_loads_holds_its_records_up_for_a_while_only(
    settings: ServingSettings, processes: Processes, query: FakeQuery, gate: threading.Event
) -> None:
    process = processes.start(settings)
    rows = routed(settings, models=[deploy("slow")], records=[reading(20)] * 5)
    assert tolds(query.batch(process, rows)) == ["NO_MODEL hall"] * 2
    assert sum(processes.paused_s) == pytest.approx(10, abs=0.2)
    gate.set()


def test_another_process_goes_on_with_a_model_that_loads(
    settings: ServingSettings, processes: Processes, query: FakeQuery, gate: threading.Event
) -> None:
    first, second = processes.start(settings), processes.start(settings)
    query.batch(first, routed(settings, models=[deploy("slow")]))
    # The first process ends here, with its load.
    assert tolds(query.batch(second, routed(settings, records=[reading(20)]))) == []
    gate.set()
    assert until_told(query, second, 2) == ["hall: slow ACTIVE", "hall 1020 by slow"]
    # What the first one has loaded for the same message is not carried out again.
    assert tolds(query.batch(first, routed(settings, records=[reading(21)]))) == ["hall 1021 by slow"]


def test_a_bounded_run_waits_for_its_models_and_gives_up_what_has_none(
    bounded: ServingSettings, processes: Processes, query: FakeQuery, gate: threading.Event
) -> None:
    process = processes.start(bounded)
    many = [reading(temperature, "lab") for temperature in range(1, 6)]
    assert tolds(query.batch(process, routed(bounded, records=[reading(20), *many]), bounded=True)) == []
    query.now_ms += 100
    gate.set()
    given = query.batch(process, routed(bounded, models=[deploy("slow")]), bounded=True)
    assert tolds(given) == ["hall: slow ACTIVE", "hall 1020 by slow"]
    query.now_ms += 100
    assert tolds(query.batch(process, bounded=True)) == ["NO_MODEL lab"] * 5
    query.now_ms += 100
    assert tolds(query.batch(process, bounded=True)) == []


def test_records_wait_for_a_model_server_and_keep_their_order(
    settings: ServingSettings, processes: Processes, query: FakeQuery, engine: FakeEngine
) -> None:
    first, second = processes.start(settings), processes.start(settings)
    query.batch(first, routed(settings, models=[deploy("v1")]))
    engine.goes_away()
    assert tolds(query.batch(first, routed(settings, records=[reading(20)]))) == []
    assert query.timers("hall") == {100}
    engine.comes_back()
    # Whoever gets the next batch: its records wait behind those in state.
    given = query.batch(second, routed(settings, records=[reading(21)]))
    query.now_ms += 100
    given += query.batch(second)
    assert tolds(given) == ["hall 20 by v1", "hall 21 by v1"]


def test_a_full_buffer_holds_its_batch_back(
    settings: ServingSettings, processes: Processes, query: FakeQuery, engine: FakeEngine
) -> None:
    process = processes.start(settings)
    query.batch(process, routed(settings, models=[deploy("v1")]))
    engine.goes_away()
    query.batch(process, routed(settings, records=[reading(20), reading(21), reading(22)]))
    assert sum(processes.paused_s) == pytest.approx(1.0, abs=0.1)
    engine.comes_back()
    query.now_ms += 2000
    assert tolds(query.batch(process)) == [f"hall {temperature} by v1" for temperature in (20, 21, 22)]


def test_told_names_every_kind_of_message(
    settings: ServingSettings, processes: Processes, query: FakeQuery
) -> None:
    given = query.batch(processes.start(settings), routed(settings, models=[command("REMOVE")]))
    assert [one for emitted in given for one in told(emitted)] == [
        "hall:  REJECTED",
        "MODEL_REJECTED hall",
    ]
