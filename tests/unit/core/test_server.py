"""Serving: n records in, n outcomes out in the same order, by the model that is active."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from functions.core.engine import Columns
from functions.core.errors import ModelRejected
from functions.core.messages import DeadLetter, ModelToServe, ModelType, OutputRule, Reason, ServingResult
from functions.core.pool import ModelPool
from functions.core.server import Server
from tests.fakes import POINT, FakeClock, FakeEngine, Script, point, read_points

MODEL = ModelToServe("wine", "forest", ModelType.PMML, "v1", "sha-1", b"one")
NEXT = replace(MODEL, version="v2", sha256="sha-2", content=b"two")


def result(x: float, **changed: object) -> ServingResult:
    """The result of the model without an offset, at the fake clock's start."""
    plain = ServingResult("wine", "forest", "v1", ModelType.PMML, 0, 1_000_000, 0, x)
    return replace(plain, **changed)  # type: ignore[arg-type]


def failed(payload: bytes, detail: str, ts: int = 1_000_000) -> DeadLetter:
    return DeadLetter(Reason.SCORING_FAILED, detail, payload, "mdata", ts, "wine", "forest", "v1")


def test_a_batch_is_scored_at_once_and_shares_its_time(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(offset=0.5, fields=("y", "x"), score_ns=10_000_000)
    server.activate(MODEL)
    records = [point(1, 10, ts=999_990), point(2, 20, ts=1_000_010), point(3, 30), point(4, 40)]
    outcomes = server.serve("wine", records)
    assert outcomes == [
        result(1.5, submission_ts=999_990, served_ts=1_000_010, scoring_ns=2_500_000),
        result(2.5, submission_ts=1_000_010, served_ts=1_000_010, scoring_ns=2_500_000),
        result(3.5, served_ts=1_000_010, scoring_ns=2_500_000),
        result(4.5, served_ts=1_000_010, scoring_ns=2_500_000),
    ]
    assert [outcome.latency_ms for outcome in outcomes[:2] if isinstance(outcome, ServingResult)] == [
        20.0,
        0.0,
    ]
    (columns,) = engine.models[0].scored
    assert columns.tolist() == [[10, 1], [20, 2], [30, 3], [40, 4]]
    assert columns.dtype == np.float64


def test_time_outside_of_the_model_is_not_scoring_time(
    pool: ModelPool, engine: FakeEngine, clock: FakeClock
) -> None:
    def slow_reader(messages: Sequence[Mapping[str, float | str]], fields: tuple[str, ...]) -> Columns:
        clock.pass_ns(50_000_000)
        return read_points(messages, fields)

    engine.scripts[b"one"] = Script(score_ns=7_000)
    server = Server(pool, POINT, slow_reader, "mdata", clock)
    server.activate(MODEL)
    assert server.serve("wine", [point(1)]) == [result(1.0, served_ts=1_000_050, scoring_ns=7_000)]
    server.close()


def test_a_record_that_fails_costs_that_record_only(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(poison=2.0, score_ns=1_000_000)
    server.activate(MODEL)
    assert server.serve("wine", [point(1), point(2, 5), point(3)]) == [
        result(1.0, served_ts=1_000_002, scoring_ns=1_000_000),
        failed(b"2,5,red", "x is 2", ts=1_000_003),
        result(3.0, served_ts=1_000_004, scoring_ns=1_000_000),
    ]


def test_a_single_record_that_fails_is_scored_once(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(poison=2.0)
    server.activate(MODEL)
    assert server.serve("wine", [point(2)]) == [failed(b"2,0,red", "x is 2")]
    assert len(engine.models[0].scored) == 1


def test_no_result_is_a_dead_letter_in_its_place(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(nothing=2.0)
    server.activate(MODEL)
    assert server.serve("wine", [point(1), point(2), point(3)]) == [
        result(1.0),
        failed(b"2,0,red", "the model gives no result for this record"),
        result(3.0),
    ]


def test_infinity_is_a_result(server: Server) -> None:
    server.activate(MODEL)
    assert server.serve("wine", [point(math.inf)]) == [result(math.inf)]


def test_a_wrong_number_of_results_fails_each_record(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(extra_results=1)
    server.activate(MODEL)
    assert server.serve("wine", [point(1), point(2)]) == [
        failed(b"1,0,red", "(2,) results for 1 records"),
        failed(b"2,0,red", "(2,) results for 1 records"),
    ]


def test_labels_and_outputs_go_to_their_records_and_missing_outputs_are_left_out(
    server: Server, engine: FakeEngine
) -> None:
    engine.scripts[b"one"] = Script(
        labels=["good", "bad", "good"],
        outputs={"probability(good)": [0.9, 0.2, math.nan], "distance": [math.nan, 7.0, math.nan]},
        nothing=5.0,
    )
    server.activate(MODEL)
    assert server.serve("wine", [point(1), point(5), point(3)]) == [
        result(1.0, label="good", outputs={"probability(good)": 0.9}),
        failed(b"5,0,red", "the model gives no result for this record"),
        result(3.0, label="good", outputs={}),
    ]


def test_a_fault_of_the_program_is_not_swallowed(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(score_fault=ZeroDivisionError("bug"))
    server.activate(MODEL)
    with pytest.raises(ZeroDivisionError, match=r"^bug$"):
        server.serve("wine", [point(1), point(2)])


def test_the_new_model_is_loaded_before_the_old_one_is_closed(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"two"] = Script(offset=100)
    server.activate(MODEL)
    server.activate(NEXT)
    assert engine.events == ["load one", "load two", "close one"]
    assert server.serve("wine", [point(1)]) == [result(101.0, version="v2")]


def test_the_same_model_again_is_not_loaded_again(server: Server, engine: FakeEngine) -> None:
    server.activate(MODEL)
    server.activate(replace(MODEL, version="renamed"))
    assert engine.events == ["load one"]
    assert server.serve("wine", [point(1)]) == [result(1.0, version="renamed")]


def test_a_model_that_does_not_load_leaves_the_old_one_serving(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"two"] = Script(load_error="no memory")
    server.activate(MODEL)
    with pytest.raises(ModelRejected, match=r"^no memory$"):
        server.activate(NEXT)
    assert server.serve("wine", [point(1)]) == [result(1.0)]


def test_a_data_type_that_is_not_served_any_more(server: Server, engine: FakeEngine) -> None:
    server.activate(MODEL)
    assert server.serves("wine")
    server.deactivate("wine")
    server.deactivate("wine")
    assert not server.serves("wine")
    assert engine.live == []
    with pytest.raises(KeyError):
        server.serve("wine", [point(1)])


def test_each_data_type_has_its_own_model(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"two"] = Script(offset=100)
    server.activate(MODEL)
    server.activate(replace(NEXT, data_type="beer", model_type=ModelType.ONNX, output=OutputRule.VALUE))
    assert server.serve("wine", [point(1)]) == [result(1.0)]
    assert server.serve("beer", [point(1, data_type="beer")]) == [
        result(101.0, data_type="beer", version="v2", model_type=ModelType.ONNX)
    ]
    server.deactivate("beer")
    assert (server.serves("wine"), server.serves("beer"), engine.live) == (True, False, ["one"])


def test_close_lets_go_of_every_model(server: Server, engine: FakeEngine) -> None:
    server.activate(MODEL)
    server.activate(replace(NEXT, data_type="beer"))
    server.close()
    assert (engine.live, server.serves("wine")) == ([], False)
