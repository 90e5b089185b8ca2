"""Statistics of operators: one reporting thread for all of a process, which is gone when they are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from functions import statistics as module
from functions.admission import ModelAdmission
from functions.intake import RouteModels, RouteRecords
from functions.keyed import KeyedModelServing
from model_serving import assembly
from model_serving.client.ports import free_port
from model_serving.core.statistics.report import VersionStatistics
from model_serving.core.statistics.reporter import Reporter
from model_serving.settings import ServingSettings
from model_serving.testing import FakeClock, FakeEngine
from tests.patience import Patience
from tests.unit.functions.emitted import activation, batch, model, read, reading
from tests.unit.functions.fake_flink import FakeFlink


class Sink:
    """Keeps the newest report of each key."""

    def __init__(self) -> None:
        self.newest: dict[tuple[str, str, str, str], VersionStatistics] = {}

    def send(self, report: VersionStatistics) -> bool:
        self.newest[report.key] = report
        return True

    def has_lost(self) -> bool:
        return False

    def close(self, timeout_s: float) -> None:
        """Everything has arrived."""


@pytest.fixture(autouse=True)
def _reporters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_reporters", {})
    yield
    assert reporting() == []


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Sink:
    made = Sink()
    monkeypatch.setattr(assembly, "new_reporter", lambda _settings: Reporter(lambda: made))
    return made


def reporting() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "statistics"]


def with_statistics(settings: ServingSettings, servers: str = "nowhere:9092") -> ServingSettings:
    return replace(settings, host="keyed", stats_topic="model-stats", bootstrap_servers=servers)


def test_all_operators_of_a_process_share_one_thread(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine, sink: Sink
) -> None:
    kinds = (KeyedModelServing, ModelAdmission, RouteModels, RouteRecords)
    for _ in range(2):
        operators = [kind(with_statistics(settings)) for kind in kinds]
        for operator in operators:
            operator.open(flink)
        assert reporting() == ["statistics"]
        for operator in operators:
            operator.close()
        assert reporting() == []


def test_a_closed_operator_has_reported_everything(
    settings: ServingSettings, flink: FakeFlink, clock: FakeClock, engine: FakeEngine, sink: Sink
) -> None:
    operator = KeyedModelServing(with_statistics(settings))
    operator.open(flink)
    order = activation(1, model("v1"))
    flink.key = order[0]
    read(operator.process_element1(order, flink))
    read(operator.process_element2(batch(reading(1), reading(2)), flink))
    operator.close()
    (report,) = sink.newest.values()
    assert (report.host, report.instance, report.data_type, report.version) == (
        "keyed",
        "serve 1",
        "hall",
        "v1",
    )
    assert (report.scored, report.until) == (2, clock.epoch_ms())


def test_after_a_restart_there_is_another_run(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine, sink: Sink
) -> None:
    for _ in range(2):
        operator = KeyedModelServing(with_statistics(settings))
        operator.open(flink)
        order = activation(1, model("v1"))
        flink.key = order[0]
        read(operator.process_element1(order, flink))
        operator.close()
    assert len({run for run, *_ in sink.newest}) == 2


def test_a_kafka_that_is_away_holds_up_neither_records_nor_the_end(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> None:
    operator = KeyedModelServing(with_statistics(settings, f"127.0.0.1:{free_port()}"))
    operator.open(flink)
    order = activation(1, model("v1"))
    flink.key = order[0]
    read(operator.process_element1(order, flink))
    assert len(read(operator.process_element2(batch(reading(1)), flink))) == 1
    ending = Patience(10)
    operator.close()
    assert not ending.is_over


def test_without_a_topic_nothing_is_counted(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> None:
    operator = KeyedModelServing(settings)
    operator.open(flink)
    assert reporting() == []
    operator.close()


def test_a_process_that_runs_job_after_job_keeps_no_thread_of_any(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine
) -> None:
    """In thread mode, the jobs of a session cluster share an interpreter, one after the other.

    Each report goes to librdkafka's own broker, which lives in the client; so do a dozen threads of it.
    """
    mock = replace(with_statistics(settings), kafka_config={"test.mock.num.brokers": "1"})

    def run_a_job() -> int:
        operator = KeyedModelServing(mock)
        operator.open(flink)
        order = activation(1, model("v1"))
        flink.key = order[0]
        read(operator.process_element1(order, flink))
        read(operator.process_element2(batch(reading(1), reading(2)), flink))
        operator.close()
        assert reporting() == []
        return psutil.Process().num_threads()

    first = run_a_job()
    after = [run_a_job() for _ in range(20)]
    # The last client may still be ending.
    assert max(after) <= first + 10, after
    assert len(module._reporters) == 1
