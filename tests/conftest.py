"""Shared by the tests of several folders: one Kafka per run, and the distribution of tests to processes."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.patience import load_factor
from tests.stand_ins import check_stand_in, replaced

# Flink's scripts read the first, the embedded Kafka the second. The tests start dozens of short jobs and some
# brokers, in which Java's second compiler would take a quarter of the processor time and save less than that.
# Nor does a test need that Java verifies the bytecode of classes that are in no archive (6,000 of Flink),
# which would take a tenth of a job's start. A broker with next to no garbage needs no collector with threads.
_BRIEFLY = "-XX:TieredStopAtLevel=1 -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
os.environ.setdefault("JVM_ARGS", _BRIEFLY)
os.environ.setdefault("MODEL_SERVING_KAFKA_JVM_ARGS", f"{_BRIEFLY} -XX:+UseSerialGC")

# On a busy machine, drawing an example may take seconds, which is not the fault of the tested code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """A running Kafka on a free port."""
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def monkeypatch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Returns pytest's own, but it refuses a stand-in with other parameters than this project's function."""
    put = monkeypatch.setattr

    def put_checked(target: Any, name: Any, *value: Any, **options: Any) -> None:
        original, stand_in = replaced(target, name)
        check_stand_in(original, value[0] if value else stand_in)
        put(target, name, *value, **options)

    monkeypatch.setattr = put_checked  # type: ignore[method-assign]
    return monkeypatch


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Gives a test more time on a busy machine: the time of its mark or of pyproject.toml, times the load.

    The factor is at least 2, because a machine may become busy while a test runs.
    """
    mark = item.get_closest_marker("timeout")
    seconds = float(mark.args[0] if mark else item.config.getini("timeout"))
    item.add_marker(pytest.mark.timeout(seconds * max(2.0, load_factor())), append=False)
    return (yield)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """With ``--dist loadfile``, each running job goes to one process."""
    return _ByWhatIsShared(config, log) if config.getoption("dist") == "loadfile" else None


class _ByWhatIsShared(LoadScopeScheduling):
    """Keeps the tests of a file together, and those of all files that share a running job."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        shared = re.fullmatch(r"(.*/(?:running_job|spark_job))/.*", file)
        variant = re.search(
            r"\b(spark-keyed|spark-broadcast|keyed|broadcast|server)\b", test.partition("[")[2]
        )
        return f"{shared[1]}[{variant[1]}]" if shared and variant else file
