"""What an instance counts: equal to a plain count, whatever the batches, versions that end and come back."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.core.batches import ScoredBatch
from model_serving.core.engine import Scores
from model_serving.core.messages import DeadLetter, ModelToServe, ModelType, Reason
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.input_policy import MissingPolicy
from model_serving.core.scoring.server import Server
from model_serving.core.statistics import ledger as ledger_module
from model_serving.core.statistics.recorder import Identity, Recorder
from model_serving.core.statistics.report import VersionStatistics
from model_serving.testing import POINT, FakeClock, FakeEngine, Script, point, points

MODEL = ModelToServe("wine", "forest", ModelType.PMML, "v1", "sha-1", b"one")
NEXT = replace(MODEL, version="v2", sha256="sha-2", content=b"two")
FIELDS = ("x", "y")


@pytest.fixture
def recorder(clock: FakeClock) -> Recorder:
    return Recorder(Identity("run", "serve 0", "keyed"), clock)


def scored(
    results: list[float], labels: list[str] | None = None, *, ts: int = 0, served_ts: int = 5, ns: int = 0
) -> ScoredBatch:
    submission = np.full(len(results), ts, np.int64)
    return ScoredBatch("wine", MODEL, submission, Scores(np.array(results), labels), ns, served_ts)


def columns(count: int, value: float = 1.0) -> np.ndarray:
    return np.full((count, len(FIELDS)), value)


def newest(recorder: Recorder) -> dict[tuple[str, str], VersionStatistics]:
    return {(one.data_type, one.version): one for one in recorder.changed(10_000)}


def letter(data_type: str = "wine", version: str = "", reason: Reason = Reason.NO_MODEL) -> DeadLetter:
    return DeadLetter(reason, "", b"", "mdata", 1, data_type, "", version)


BATCHES = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0.0, 1.5, -3.0, 1e6]), min_size=1, max_size=9),
        st.integers(0, 10_000),
        st.integers(0, 5_000_000),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(BATCHES)
def test_batches_of_any_sizes_count_like_their_records(batches: list[tuple[list[float], int, int]]) -> None:
    recorder = Recorder(Identity("run", "0", "keyed"), FakeClock())
    entry = recorder.begin(MODEL, FIELDS)
    results, latencies, scoring = [], [], []
    for numbers, ts, ns in batches:
        labels = [f"{number:g}" for number in numbers]
        recorder.scored(entry, scored(numbers, labels, ts=ts, served_ts=9000, ns=ns), columns(len(numbers)))
        results += numbers
        latencies += [9000.0 - ts] * len(numbers)
        scoring += [ns / 1e6] * len(numbers)
    report = newest(recorder)["wine", "v1"]
    assert report.scored == len(results)
    for distribution, numbers in (
        (report.latency, latencies),
        (report.scoring, scoring),
        (report.results.numbers, results),
    ):
        assert distribution.count == distribution.sketch.count == len(numbers)
        assert distribution.sum == pytest.approx(sum(numbers))
        assert (distribution.minimum, distribution.maximum) == (min(numbers), max(numbers))
    assert report.results.labels == dict(Counter(f"{number:g}" for number in results))
    assert report.fields[0].count == len(results)


def test_small_and_large_batches_of_several_versions_count_alike(recorder: Recorder) -> None:
    wine, beer = recorder.begin(MODEL, FIELDS), recorder.begin(replace(MODEL, data_type="beer"), FIELDS)
    for _ in range(200):
        recorder.scored(wine, scored([1.0, 2.0], ["a", "b"]), columns(2))
        recorder.scored(beer, scored([3.0] * 20, ["c"] * 20), columns(20))
        recorder.scored(beer, scored([4.0], ["d"]), columns(1))
    reports = newest(recorder)
    assert (reports["wine", "v1"].scored, reports["beer", "v1"].scored) == (400, 4200)
    assert reports["wine", "v1"].results.numbers.sum == 600
    assert reports["beer", "v1"].results.labels == {"c": 4000, "d": 200}
    assert reports["beer", "v1"].latency.count == reports["beer", "v1"].scoring.count == 4200


def test_a_report_says_who_counted_what_and_when(recorder: Recorder, clock: FakeClock) -> None:
    recorder.begin(MODEL, FIELDS)
    (report,) = recorder.changed(10)
    assert report.key == ("run", "serve 0", "wine", "v1")
    assert (report.host, report.name, report.model_type, report.sha256) == ("keyed", "forest", 2, "sha-1")
    assert (report.since, report.until, report.ts) == (clock.epoch_ms(), 0, clock.epoch_ms())


def test_only_what_has_changed_is_reported_the_longest_ago_first(recorder: Recorder) -> None:
    recorder.begin(MODEL, FIELDS)
    beer = recorder.begin(replace(MODEL, data_type="beer"), FIELDS)
    assert [one.data_type for one in recorder.changed(1)] == ["wine"]
    assert [one.data_type for one in recorder.changed(9)] == ["beer"]
    assert recorder.changed(9) == []
    recorder.scored(beer, scored([1.0]), columns(1))
    assert [one.data_type for one in recorder.changed(9)] == ["beer"]
    recorder.report_all()
    assert len(recorder.changed(9)) == 2


def test_a_report_does_not_change_afterwards(recorder: Recorder) -> None:
    entry = recorder.begin(MODEL, FIELDS)
    recorder.scored(entry, scored([1.0], ["a"]), columns(1))
    (report,) = recorder.changed(9)
    recorder.scored(entry, scored([1.0], ["a"]), columns(1))
    recorder.changed(9)
    assert (report.scored, report.results.labels, report.latency.sketch.count) == (1, {"a": 1}, 1)


def test_at_a_swap_the_version_ends_and_after_a_rollback_it_goes_on(
    recorder: Recorder, clock: FakeClock
) -> None:
    began = clock.epoch_ms()
    entry = recorder.begin(MODEL, FIELDS)
    recorder.scored(entry, scored([1.0]), columns(1))
    clock.pass_ns(7_000_000)
    recorder.begin(NEXT, FIELDS)
    reports = newest(recorder)
    assert reports["wine", "v1"].until == began + 7
    assert (reports["wine", "v2"].since, reports["wine", "v2"].until) == (began + 7, 0)
    recorder.scored(recorder.begin(MODEL, FIELDS), scored([1.0, 2.0]), columns(2))
    back = newest(recorder)
    assert (back["wine", "v1"].scored, back["wine", "v1"].since, back["wine", "v1"].until) == (3, began, 0)
    assert back["wine", "v2"].until == began + 7


def test_the_same_version_again_goes_on(recorder: Recorder) -> None:
    assert recorder.begin(MODEL, FIELDS) is recorder.begin(MODEL, FIELDS)


def test_at_the_end_every_version_ends(recorder: Recorder, clock: FakeClock) -> None:
    recorder.begin(MODEL, FIELDS)
    recorder.begin(replace(MODEL, data_type="beer"), FIELDS)
    recorder.end("beer")
    recorder.end("never served")
    recorder.close()
    assert {key: one.until for key, one in newest(recorder).items()} == {
        ("wine", "v1"): clock.epoch_ms(),
        ("beer", "v1"): clock.epoch_ms(),
    }


def test_letters_are_counted_where_they_belong(recorder: Recorder) -> None:
    recorder.begin(MODEL, FIELDS)
    recorder.begin(NEXT, FIELDS)
    recorder.letter(letter(version="v1", reason=Reason.SCORING_FAILED))
    recorder.letter(letter(version="v2", reason=Reason.INVALID_RECORD))
    recorder.letter(letter(version="v9", reason=Reason.MODEL_REJECTED))
    recorder.letter(letter())
    recorder.letter(letter(data_type="", reason=Reason.UNPARSABLE))
    assert {key: one.dead_letters for key, one in newest(recorder).items()} == {
        ("wine", "v1"): {"SCORING_FAILED": 1},
        ("wine", "v2"): {"INVALID_RECORD": 1},
        ("wine", ""): {"MODEL_REJECTED": 1, "NO_MODEL": 1},
        ("", ""): {"UNPARSABLE": 1},
    }


def test_data_types_that_nobody_serves_are_bounded(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_UNSERVED", 5)
    for number in range(9):
        recorder.letter(letter(data_type=f"type {number}"))
        recorder.without_model(f"type {number}", 2)
    reports = newest(recorder)
    assert len(reports) == 6
    assert reports["", ""].dead_letters == {"NO_MODEL": 4}
    assert sum(one.without_model for one in reports.values()) == 18


def test_ended_versions_are_bounded(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_ENDED", 7)
    monkeypatch.setattr(ledger_module, "_ENDED_OF_TYPE", 3)
    for data_type in range(4):
        for version in range(10):
            model = replace(MODEL, data_type=f"type {data_type}", version=f"v{version}")
            recorder.begin(model, FIELDS)
            recorder.changed(10_000)
    recorder.report_all()
    reports = newest(recorder)
    assert sum(1 for one in reports.values() if one.until) == 7
    assert ("type 3", "v8") in reports
    assert ("type 3", "v5") not in reports


def test_the_last_report_of_a_version_is_made_though_it_is_forgotten(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_ENDED", 0)
    recorder.scored(recorder.begin(MODEL, FIELDS), scored([1.0]), columns(1))
    recorder.begin(NEXT, FIELDS)
    ended = newest(recorder)["wine", "v1"]
    assert (ended.scored, ended.until > 0) == (1, True)


def test_beyond_a_number_of_versions_sketches_are_coarse_and_fields_are_not_watched(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_FINE", 1)
    recorder.begin(MODEL, FIELDS)
    entry = recorder.begin(replace(MODEL, data_type="beer"), FIELDS)
    wide = (10.0 ** np.linspace(-9, 9, 3000)).tolist()
    recorder.scored(entry, scored(wide), columns(len(wide)))
    beer = newest(recorder)["beer", "v1"]
    assert beer.fields == []
    assert (beer.scored, beer.results.numbers.count) == (3000, 3000)
    assert len(beer.results.numbers.sketch.positive.counts) <= 256
    assert beer.results.numbers.quantile(1.0) == pytest.approx(1e9, rel=0.01)


def test_where_memory_is_short_references_are_smaller(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_REFERENCE_NUMBERS", 500)
    entries = [recorder.begin(replace(MODEL, data_type=f"t{number}"), FIELDS) for number in range(2)]
    recorder.scored(entries[0], scored([1.0] * 600), columns(600))
    recorder.changed(9)
    for entry in entries:
        recorder.scored(entry, scored([1.0] * 80), columns(80))
        recorder.changed(9)
    recorder.scored(entries[1], scored([1.0] * 80), columns(80))
    recorder.report_all()
    first, second = (one.fields[0] for one in recorder.changed(9))
    assert first.reference is not None
    assert (first.reference.count, first.count) == (600, 80)
    # There is room again, so the second one waits for all of its records.
    assert (second.reference, second.count) == (None, 160)


def test_once_the_reference_is_complete_few_records_a_second_are_looked_at(recorder: Recorder) -> None:
    entry = recorder.begin(MODEL, FIELDS)
    for second in range(4):
        for _ in range(3):
            recorder.scored(entry, scored([1.0] * 1000, served_ts=second * 1000), columns(1000))
            recorder.changed(9)
    (report,) = recorder.changed(9) or [newest_of(recorder)]
    assert report.scored == 12_000
    assert report.fields[0].reference is not None
    assert report.fields[0].reference.count == 1000
    # 200 in each second after the first one.
    assert report.fields[0].count == 600


def newest_of(recorder: Recorder) -> VersionStatistics:
    recorder.report_all()
    (report,) = recorder.changed(9)
    return report


def test_nothing_is_lost_between_threads(recorder: Recorder) -> None:
    entry = recorder.begin(MODEL, FIELDS)
    ending = threading.Event()

    def report() -> None:
        while not ending.is_set():
            recorder.changed(9)

    reporting = threading.Thread(target=report)
    reporting.start()
    for number in range(3000):
        recorder.scored(entry, scored([float(number)] * 7), columns(7))
        recorder.letter(letter())
        recorder.failed(entry, 2, 1)
    ending.set()
    reporting.join()
    recorder.report_all()
    reports = newest(recorder)
    assert reports["wine", "v1"].scored == 21_000
    assert (reports["wine", "v1"].failed, reports["wine", "v1"].missing) == (6000, 3000)
    assert reports["wine", ""].dead_letters == {"NO_MODEL": 3000}


def test_a_busy_report_never_holds_up_who_serves(recorder: Recorder) -> None:
    entry = recorder.begin(MODEL, FIELDS)
    with recorder._lock:  # as if another thread counted
        for _ in range(20):
            recorder.scored(entry, scored([1.0] * 1000), columns(1000))
    assert newest(recorder)["wine", "v1"].scored == 20_000


class TestServer:
    """What a server tells the recorder."""

    def test_scored_failed_and_missing_records(self, clock: FakeClock, engine: FakeEngine) -> None:
        recorder = Recorder(Identity("run", "0", "keyed"), clock)
        engine.scripts[b"one"] = Script(poison=5.0, nothing=6.0)
        server = Server(
            ModelPool(engine), POINT, "mdata", clock, missing=MissingPolicy.REJECT, recorder=recorder
        )
        server.activate(MODEL)
        server.serve(points(point(1), point(5), point(2), point(6), point(float("nan"))))
        server.serve(points(point(float("nan"))))
        server.deactivate("wine")
        server.close()
        (report,) = recorder.changed(9)
        assert (report.scored, report.failed, report.missing) == (2, 4, 2)
        assert report.results.numbers.sum == 3.0
        assert report.fields[0].field == "x"
        assert report.fields[0].count == 2
        assert report.until > 0

    def test_labels(self, clock: FakeClock, engine: FakeEngine) -> None:
        recorder = Recorder(Identity("run", "0", "keyed"), clock)
        engine.scripts[b"one"] = Script(labels=("red", "white", "red"))
        server = Server(ModelPool(engine), POINT, "mdata", clock, recorder=recorder)
        server.activate(MODEL)
        server.serve(points(point(1), point(2), point(3)))
        server.close()
        (report,) = recorder.changed(9)
        assert report.results.labels == {"red": 2, "white": 1}
