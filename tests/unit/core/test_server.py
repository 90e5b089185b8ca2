"""Serving: each record of a batch gets a result or a dead letter, in their order, by the active model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from model_serving.core.batches import RecordBatch
from model_serving.core.errors import ModelRejected, Unavailable
from model_serving.core.messages import (
    DeadLetter,
    FailingModel,
    ModelToServe,
    ModelType,
    OutputRule,
    Reason,
)
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.input_policy import MissingPolicy
from model_serving.core.scoring.server import Outcome, Server
from model_serving.testing import (
    POINT,
    FakeClock,
    FakeEngine,
    FakeFeatures,
    Point,
    Script,
    ServedRow,
    point,
    points,
    served_rows,
)

MODEL = ModelToServe("wine", "forest", ModelType.PMML, "v1", "sha-1", b"one")
NEXT = replace(MODEL, version="v2", sha256="sha-2", content=b"two")


def serve(server: Server, *records: Point) -> tuple[list[ServedRow], list[DeadLetter]]:
    outcome = server.serve(points(*records))
    return served_rows(outcome.scored), outcome.dead_letters


def result(x: float, model: ModelToServe = MODEL, **changed: object) -> ServedRow:
    """The result of the model without an offset, at the fake clock's start; models come without content."""
    plain = ServedRow(model.data_type, replace(model, content=b""), 0, 1_000_000, 0, x)
    return replace(plain, **changed)  # type: ignore[arg-type]


def failed(payload: bytes, detail: str, ts: int = 1_000_000) -> DeadLetter:
    return DeadLetter(Reason.SCORING_FAILED, detail, payload, "mdata", ts, "wine", "forest", "v1")


def test_a_batch_is_scored_at_once_and_shares_its_time(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(offset=0.5, fields=("y", "x"), score_ns=10_000_000)
    server.activate(MODEL)
    records = [point(1, 10, ts=999_990), point(2, 20, ts=1_000_010), point(3, 30), point(4, 40)]
    outcome = server.serve(points(*records))
    assert [len(batch) for batch in outcome.scored] == [4]
    assert served_rows(outcome.scored) == [
        result(1.5, submission_ts=999_990, served_ts=1_000_010, scoring_ns=2_500_000),
        result(2.5, submission_ts=1_000_010, served_ts=1_000_010, scoring_ns=2_500_000),
        result(3.5, served_ts=1_000_010, scoring_ns=2_500_000),
        result(4.5, served_ts=1_000_010, scoring_ns=2_500_000),
    ]
    assert outcome.dead_letters == []
    (columns,) = engine.models[0].scored
    assert columns.tolist() == [[10, 1], [20, 2], [30, 3], [40, 4]]
    assert columns.dtype == np.float64


def test_time_outside_of_the_model_is_not_scoring_time(
    server: Server, engine: FakeEngine, clock: FakeClock
) -> None:
    engine.scripts[b"one"] = Script(score_ns=7_000)
    server.activate(MODEL)
    slow = FakeFeatures([point(1)], clock, read_ns=50_000_000)
    outcome = server.serve(RecordBatch("wine", [b"1,0,red"], np.zeros(1, dtype=np.int64), slow))
    assert served_rows(outcome.scored) == [result(1.0, served_ts=1_000_050, scoring_ns=7_000)]


def test_a_record_that_fails_costs_that_record_only(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(poison=2.0, score_ns=1_000_000)
    server.activate(MODEL)
    assert serve(server, point(1, ts=5), point(2, 5, ts=6), point(3, ts=7)) == (
        [
            result(1.0, submission_ts=5, served_ts=1_000_003, scoring_ns=1_000_000),
            result(3.0, submission_ts=7, served_ts=1_000_005, scoring_ns=1_000_000),
        ],
        [failed(b"2,5,red", "x is 2", ts=1_000_004)],
    )


@pytest.mark.parametrize("at", [0, 123, 499])
def test_one_record_that_fails_among_many_is_found_by_halves(
    server: Server, engine: FakeEngine, at: int
) -> None:
    """A model server may refuse a request for one of its records, and each request takes a while."""
    engine.scripts[b"one"] = Script(poison=-1.0)
    server.activate(MODEL)
    values = [float(-1 if place == at else place) for place in range(500)]
    scored, letters = serve(server, *map(point, values))
    assert [one.result for one in scored] == [value for value in values if value >= 0]
    assert len(letters) == 1
    assert len(engine.models[0].scored) <= 1 + 2 * math.ceil(math.log2(500))


def test_where_every_record_fails_halves_cost_little_more_than_each_alone(
    server: Server, engine: FakeEngine
) -> None:
    engine.scripts[b"one"] = Script(poison=2.0)
    server.activate(MODEL)
    _, letters = serve(server, *[point(2, place) for place in range(500)])
    assert [letter.payload for letter in letters] == [b"2,%d,red" % place for place in range(500)]
    assert len(engine.models[0].scored) <= 500 + 2 * 32 + 1


def test_records_keep_their_order_around_those_that_fail(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(poison=-1.0)
    server.activate(MODEL)
    values = [float(-1 if place % 7 == 3 else place) for place in range(100)]
    scored, letters = serve(server, *[point(value, place) for place, value in enumerate(values)])
    assert [one.result for one in scored] == [value for value in values if value >= 0]
    assert [letter.payload for letter in letters] == [b"-1,%d,red" % place for place in range(3, 100, 7)]


def test_a_single_record_that_fails_is_scored_once(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(poison=2.0)
    server.activate(MODEL)
    assert server.serve(points(point(2))) == Outcome([], [failed(b"2,0,red", "x is 2")])
    assert len(engine.models[0].scored) == 1


def test_no_result_is_a_dead_letter(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(nothing=2.0, score_ns=4_000_000)
    server.activate(MODEL)
    records = [point(1, ts=5), point(2, 1), point(3, ts=7), point(2, 2)]
    outcome = server.serve(points(*records))
    assert [len(batch) for batch in outcome.scored] == [2]
    assert served_rows(outcome.scored) == [
        result(1.0, submission_ts=5, served_ts=1_000_004, scoring_ns=1_000_000),
        result(3.0, submission_ts=7, served_ts=1_000_004, scoring_ns=1_000_000),
    ]
    nothing = "the model gives no result for this record"
    assert outcome.dead_letters == [
        failed(b"2,1,red", nothing, ts=1_000_004),
        failed(b"2,2,red", nothing, ts=1_000_004),
    ]


def test_no_result_for_any_record_is_no_batch(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(nothing=2.0)
    server.activate(MODEL)
    nothing = "the model gives no result for this record"
    assert server.serve(points(point(2, 1), point(2, 2))) == Outcome(
        [], [failed(b"2,1,red", nothing), failed(b"2,2,red", nothing)]
    )


def test_a_model_may_say_why_a_record_has_no_result(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(nothing=2.0, why="too even at")
    server.activate(MODEL)
    scored, letters = serve(server, point(1), point(2, 1), point(3), point(2, 2))
    assert [one.result for one in scored] == [1.0, 3.0]
    assert letters == [
        failed(b"2,1,red", "the model gives no result for this record: too even at 1"),
        failed(b"2,2,red", "the model gives no result for this record: too even at 3"),
    ]


def test_infinity_is_a_result(server: Server) -> None:
    server.activate(MODEL)
    assert serve(server, point(math.inf)) == ([result(math.inf)], [])


def test_a_wrong_number_of_results_fails_each_record(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(extra_results=1)
    server.activate(MODEL)
    assert serve(server, point(1), point(2)) == (
        [],
        [
            failed(b"1,0,red", "(2,) results for 1 records"),
            failed(b"2,0,red", "(2,) results for 1 records"),
        ],
    )


def test_labels_and_outputs_stay_with_their_records(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(
        labels=["good", "bad", "fair"],
        outputs={"probability(good)": [0.9, 0.2, math.nan], "distance": [math.nan, 7.0, math.nan]},
        nothing=5.0,
    )
    server.activate(MODEL)
    assert serve(server, point(1), point(5), point(3)) == (
        [
            result(1.0, label="good", outputs={"probability(good)": 0.9}),
            result(3.0, label="fair", outputs={}),
        ],
        [failed(b"5,0,red", "the model gives no result for this record")],
    )


@pytest.mark.parametrize("raised", [ZeroDivisionError("bug"), RecursionError("deep"), MemoryError()])
def test_whatever_a_model_library_raises_costs_its_records_only(
    server: Server, engine: FakeEngine, raised: Exception
) -> None:
    engine.scripts[b"one"] = Script(score_fault=raised)
    server.activate(MODEL)
    text = f": {raised}" if str(raised) else ""
    why = f"the model's library failed ({type(raised).__name__}{text})"
    assert serve(server, point(1), point(2)) == (
        [],
        [failed(b"1,0,red", why), failed(b"2,0,red", why)],
    )


def test_what_is_not_an_exception_of_a_library_is_a_fault(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(score_fault=KeyboardInterrupt())
    server.activate(MODEL)
    with pytest.raises(KeyboardInterrupt):
        server.serve(points(point(1), point(2)))


def test_what_is_out_of_reach_is_never_counted_against_the_model(
    pool: ModelPool, clock: FakeClock, engine: FakeEngine
) -> None:
    engine.scripts[b"one"] = Script(score_fault=Unavailable("no answer"))
    server = Server(pool, POINT, "mdata", clock, failure_threshold=1)
    server.activate(MODEL)
    outcome = server.serve(points(point(1), point(2)))
    assert outcome.dead_letters == [failed(b"1,0,red", "no answer"), failed(b"2,0,red", "no answer")]
    assert (outcome.failing, len(engine.models[0].scored)) == ([], 1)
    server.close()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (Script(extra_results=1), "(2,) results for 1 records"),
        (Script(labels=["a", "b"]), "2 labels for 1 records"),
        (Script(outputs={"p": [1.0, 2.0]}), "(2,) values of the output 'p' for 1 records"),
    ],
)
def test_what_a_model_says_must_be_about_its_records(
    server: Server, engine: FakeEngine, script: Script, why: str
) -> None:
    engine.scripts[b"one"] = script
    server.activate(MODEL)
    assert serve(server, point(1)) == ([], [failed(b"1,0,red", why)])


def test_the_new_model_is_loaded_before_the_old_one_is_closed(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"two"] = Script(offset=100)
    server.activate(MODEL)
    server.activate(NEXT)
    assert engine.events == ["load one", "load two", "close one"]
    assert serve(server, point(1)) == ([result(101.0, NEXT)], [])


def test_the_same_model_again_is_not_loaded_again(server: Server, engine: FakeEngine) -> None:
    server.activate(MODEL)
    renamed = replace(MODEL, version="renamed")
    server.activate(renamed)
    assert engine.events == ["load one"]
    assert serve(server, point(1)) == ([result(1.0, renamed)], [])


def test_a_model_that_does_not_load_leaves_the_old_one_serving(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"two"] = Script(load_error="no memory")
    server.activate(MODEL)
    with pytest.raises(ModelRejected, match=r"^no memory$"):
        server.activate(NEXT)
    assert serve(server, point(1)) == ([result(1.0)], [])


def test_a_data_type_that_is_not_served_any_more(server: Server, engine: FakeEngine) -> None:
    server.activate(MODEL)
    assert server.serves("wine")
    server.deactivate("wine")
    server.deactivate("wine")
    assert not server.serves("wine")
    assert engine.live == []
    with pytest.raises(KeyError):
        server.serve(points(point(1)))


def test_each_data_type_has_its_own_model(server: Server, engine: FakeEngine) -> None:
    engine.scripts[b"two"] = Script(offset=100)
    server.activate(MODEL)
    beer = replace(NEXT, data_type="beer", model_type=ModelType.ONNX, output=OutputRule.VALUE)
    server.activate(beer)
    assert serve(server, point(1)) == ([result(1.0)], [])
    assert serve(server, point(1, data_type="beer")) == ([result(101.0, beer)], [])
    server.deactivate("beer")
    assert (server.serves("wine"), server.serves("beer"), engine.live) == (True, False, ["one"])


def test_close_lets_go_of_every_model(server: Server, engine: FakeEngine) -> None:
    server.activate(MODEL)
    server.activate(replace(NEXT, data_type="beer"))
    server.close()
    assert (engine.live, server.serves("wine")) == ([], False)


def test_a_record_that_lacks_a_value_is_rejected_alone(pool: ModelPool, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(fields=("y", "colour", "x"))
    server = Server(pool, POINT, "mdata", FakeClock(), missing=MissingPolicy.REJECT)
    server.activate(MODEL)
    records = [point(1, ts=5), point(math.nan, 2), point(3, -math.inf), point(4, colour="", ts=6)]
    rows, letters = serve(server, *records)
    assert rows == [result(1.0, submission_ts=5), result(4.0, submission_ts=6)]
    said = "its field {} has no finite value ({}): send one, or start the job with --missing pass"
    assert letters == [
        replace(failed(b"nan,2,red", said.format("x", "nan")), reason=Reason.INVALID_RECORD),
        replace(failed(b"3,-inf,red", said.format("y", "-inf")), reason=Reason.INVALID_RECORD),
    ]
    assert serve(server, point(math.nan)) == (
        [],
        [replace(failed(b"nan,0,red", said.format("x", "nan")), reason=Reason.INVALID_RECORD)],
    )
    server.close()


def test_a_value_that_the_model_does_not_take_may_be_missing(pool: ModelPool, engine: FakeEngine) -> None:
    engine.scripts[b"one"] = Script(fields=("x",))
    server = Server(pool, POINT, "mdata", FakeClock(), missing=MissingPolicy.REJECT)
    server.activate(MODEL)
    assert serve(server, point(1, math.nan)) == ([result(1.0)], [])
    server.close()


@pytest.fixture
def counting(pool: ModelPool, engine: FakeEngine) -> Iterator[Server]:
    """A server with a failure threshold of 3; the model has no result for 2 and an error for 9."""
    engine.scripts[b"one"] = engine.scripts[b"two"] = Script(nothing=2.0, poison=9.0)
    made = Server(pool, POINT, "mdata", FakeClock(), failure_threshold=3)
    yield made
    made.close()


def failing(server: Server, *xs: float) -> list[FailingModel]:
    return server.serve(points(*map(point, xs))).failing


def test_a_model_that_fails_too_often_in_a_row_is_told_once(counting: Server) -> None:
    nothing = FailingModel("wine", "forest", "v1", 3, "the model gives no result for this record")
    counting.activate(MODEL)
    assert failing(counting, 2, 2, 1, 2, 2) == []
    assert failing(counting, 1) == []
    assert failing(counting, 2, 2) == []
    assert failing(counting, 2, 2) == [nothing]
    assert failing(counting, 2, 2, 2, 2, 2, 2) == []
    counting.activate(NEXT)
    assert failing(counting, 2, 2, 9) == [replace(nothing, version="v2", why="x is 9")]


def test_batches_are_counted_record_by_record(counting: Server) -> None:
    counting.activate(MODEL)
    assert failing(counting, 9, 1, 9, 9) == []
    assert failing(counting, 9) == [FailingModel("wine", "forest", "v1", 3, "x is 9")]


def test_failures_on_records_that_lack_a_value_do_not_count(counting: Server, engine: FakeEngine) -> None:
    counting.activate(MODEL)
    assert failing(counting, math.nan, math.nan, math.nan, math.nan) == []
    assert failing(counting, 2, math.nan, 2) == []
    assert [each.failures for each in failing(counting, 2)] == [3]


def test_a_fallback_and_a_threshold_of_0_are_never_failing(counting: Server, server: Server) -> None:
    counting.activate(MODEL, fallback=True)
    assert failing(counting, *[2] * 10) == []
    server.activate(MODEL)
    assert failing(server, *[2] * 10) == []
