"""Jobs that are restored from savepoints: of older software, with another parallelism, or refused.

The savepoints under ``tests/fixtures/savepoints`` were made by ``tests/fixtures/make_savepoints.py``: with
older software (``-v1``), with the software before its core was separated from Flink (``-v2``), with the
software that first kept the chosen output of a model (``-v3``), and with software whose state has a future
version (``-v99``).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.messaging.connection import connect
from model_serving.messaging.topics import TopicNames
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.fixtures.make_savepoints import SCORED, SERVED, WAITING, model, savepoint, topics_of, write_history
from tests.job_models import sample_records
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS, FlinkRun, eventually, job_flags, launcher_from, run_flink
from tests.standalone_cluster import Cluster

pytestmark = pytest.mark.cluster

MANY = [f"type {number}" for number in range(50)]
FIRST, SECOND = MANY[::5], MANY[1::5]
"""Data types that get a second version, at different times."""

_SAVED = re.compile(r"Savepoint completed. Path: (\S+)")


@dataclass(slots=True)
class Running:
    """The job of one step. ``savepoint`` is its savepoint after it has been stopped."""

    check: Any
    rest: str = ""
    savepoint: str = ""

    def still(self) -> None:
        """Fails when the current job has ended."""
        self.check()


class Conversation:
    """Models and records for a job that is stopped and restored, and the expected answer to each."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self._kept: dict[str, list[tuple[str, float]]] = defaultdict(list)
        self._expected: dict[str, dict[int, tuple[str, float]]] = defaultdict(dict)
        self._waiting: dict[str, list[int]] = defaultdict(list)
        self._ts: Counter[str] = Counter()

    def take_over(self) -> None:
        """Takes over the models that the job knows from the kept savepoints."""
        for data_type, versions in SERVED.items():
            self._kept[data_type] = list(versions.items())
            self._ts[data_type] = SCORED
        for data_type, count in WAITING.items():
            self._waiting[data_type] = list(range(1, count + 1))
            self._ts[data_type] = count

    def deploy(self, data_types: Sequence[str], version: str, answers: Sequence[float]) -> None:
        """Offers a model for each data type, all at once. Each must become ACTIVE once."""
        for data_type, answer in zip(data_types, answers, strict=True):
            self.traffic.offer_later(model(data_type, version, answer))
            self._kept[data_type].append((version, answer))
        self._await_active(data_types)

    def roll_back(self, data_types: Sequence[str]) -> None:
        """Rolls back each data type. Its previous version must become ACTIVE once."""
        for data_type in data_types:
            self.traffic.offer_later(ModelDescriptor(dataType=data_type, command="ROLLBACK"))
            self._kept[data_type].pop()
        self._await_active(data_types)

    def send(self, rounds: int, data_types: Sequence[str] = ()) -> None:
        """Sends records for each data type, by default for each with a model, and does not wait."""
        for _ in range(rounds):
            for data_type in data_types or self._served():
                self._ts[data_type] += 1
                ts = self._ts[data_type]
                self.traffic.stream(sample_records(data_type, 1, first_ts=ts)[0])
                if self._kept[data_type]:
                    self._expected[data_type][ts] = self._kept[data_type][-1]
                else:
                    self._waiting[data_type].append(ts)
            # Without keys the producer fills one partition before it uses another one.
            self.traffic.flush()

    def check(self) -> None:
        """Checks that each record has one result, of the version that served when it was sent."""
        for data_type in self._served():
            expected = self._expected[data_type]
            results = self.traffic.await_results(data_type, len(expected))
            assert {one.submissionTs: (one.version, one.result) for one in results} == expected, data_type
        assert self.traffic.letters == []

    def _served(self) -> list[str]:
        return [data_type for data_type, versions in self._kept.items() if versions]

    def _await_active(self, data_types: Sequence[str]) -> None:
        before = {data_type: len(self.traffic.statuses[data_type]) for data_type in data_types}
        self.traffic.flush()
        for data_type in data_types:
            status = self.traffic.await_statuses(data_type, before[data_type] + 1)[-1]
            assert (status.state, status.version) == (ModelStatus.ACTIVE, self._kept[data_type][-1][0]), (
                status
            )
            for ts in self._waiting.pop(data_type, []):
                self._expected[data_type][ts] = self._kept[data_type][-1]


@contextmanager
def local(variant: str, flags: Sequence[str], start: str, log: Path, current: Running) -> Iterator[None]:
    """Runs the job by ``flink run -s`` on a minicluster, and stops it by SIGTERM at the end."""
    with FlinkRun(variant, flags, log, launcher=launcher_from(start)) as job:
        current.check = job.check
        yield
        current.check = lambda: None
        assert job.stop() == 0
        current.savepoint = job.savepoint()


@contextmanager
def on(
    cluster: Cluster, variant: str, flags: Sequence[str], start: str, folder: Path, current: Running
) -> Iterator[None]:
    """Runs the job by ``flink run -d -s`` on a cluster, and ends it by ``flink stop --savepointPath``."""
    job_id = cluster.submit(variant, flags, "-s", start)
    try:
        current.rest, current.check = f"/jobs/{job_id}", lambda: cluster.check(job_id)
        yield
        current.check = lambda: None
        stop = ["stop", "--savepointPath", str(folder), job_id]
        stopped = run_flink(stop, within_s=120, environ=cluster.environ)
        assert stopped.returncode == 0, stopped.stderr
        saved = _SAVED.search(stopped.stdout)
        assert saved is not None, stopped.stdout
        current.savepoint = saved[1]
    except BaseException:
        if cluster.state_of(job_id) in {"CREATED", "RUNNING", "RESTARTING"}:
            cluster.cancel(job_id)
        raise
    # The command returns when the savepoint is made; the job ends a little later.
    eventually(lambda: cluster.state_of(job_id) == "FINISHED", lambda: cluster.state_of(job_id), within_s=30)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_job_goes_on_from_version_1_and_with_one_three_and_two_instances(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path: Path, variant: str
) -> None:
    """The keyed job runs locally, the broadcast job on a cluster."""
    topics = topics_of(variant)
    write_history(broker, topics)
    flags = job_flags(broker.bootstrap_servers, topics, tmp_path / "checkpoints", topics.models)
    current = Running(check=lambda: None, savepoint=str(savepoint(variant, 1)))
    cluster: Cluster | None = request.getfixturevalue("cluster") if variant == "broadcast" else None

    def run(parallelism: int) -> Any:
        every = [*flags, "--parallelism", str(parallelism)]
        if cluster is None:
            return local(variant, every, current.savepoint, tmp_path / f"{parallelism}.log", current)
        return on(cluster, variant, every, current.savepoint, tmp_path, current)

    with Traffic(variant, broker.bootstrap_servers, topics, current.still) as traffic:
        talk = Conversation(traffic)
        talk.take_over()
        with run(1):
            # What was read before the savepoint is not read again, and models serve that nobody publishes.
            talk.send(4)
            talk.check()
            assert dict(traffic.statuses) == {}
            talk.roll_back(["red"])
            talk.deploy(["sparkling"], "s1", [7.0])
            talk.deploy(MANY, "v1", range(100, 150))
            talk.deploy(FIRST, "v2", range(200, 210))
            talk.send(3, ["late"])
            talk.send(3)
            talk.check()
            # These are on their way while the job is stopped.
            talk.send(2)
        talk.send(1)
        with run(3):
            talk.check()
            talk.send(6)
            talk.check()
            if cluster is not None:
                _every_instance_has_every_model(cluster, current.rest, talk)
            talk.roll_back(FIRST)
            talk.deploy(SECOND, "v2", range(300, 310))
            talk.deploy(["sweet"], "s1", [8.0])
            talk.send(3, ["late", "later"])
            talk.send(3)
            talk.check()
            talk.send(2)
        talk.send(1)
        with run(2):
            talk.check()
            talk.roll_back(SECOND)
            talk.deploy(FIRST, "v3", range(400, 410))
            talk.deploy(["late", "later"], "w1", [9.0, 10.0])
            talk.send(3)
            talk.check()
        # Also what came after each of the waits above.
        waited = sum(WAITING.values())
        assert sum(map(len, traffic.results.values())) == traffic.sent[topics.data] + waited
        assert sum(map(len, traffic.statuses.values())) == traffic.sent[topics.models]


@pytest.mark.parametrize(("version", "variant"), [(2, "keyed"), (2, "broadcast"), (3, "broadcast")])
def test_a_job_goes_on_from_later_versions(
    broker: EmbeddedBroker, tmp_path: Path, version: int, variant: str
) -> None:
    """Version 3 is the present one: above, both jobs are restored from savepoints of it."""
    topics, servers = topics_of(variant), broker.bootstrap_servers
    _delete(broker, topics)
    write_history(broker, topics)
    flags = job_flags(servers, topics, tmp_path / "checkpoints", topics.models)
    current = Running(check=lambda: None)
    with Traffic(variant, servers, topics, current.still) as traffic:
        talk = Conversation(traffic)
        talk.take_over()
        with local(variant, flags, str(savepoint(variant, version)), tmp_path / "job.log", current):
            talk.send(4)
            talk.check()
            assert dict(traffic.statuses) == {}
            talk.roll_back(["red"])
            talk.deploy(["sparkling", "white"], "s1", [7.0, 8.0])
            talk.send(3)
            talk.check()
        waited = WAITING["sparkling"]
        assert sum(map(len, traffic.results.values())) == traffic.sent[topics.data] + waited


def _delete(broker: EmbeddedBroker, topics: TopicNames) -> None:
    """Deletes the topics, which savepoints of all versions name, each with offsets of its own history."""
    admin = connect(broker.kafka)
    known = [topic for topic in topics.all() if topic in admin.list_topics(timeout=30).topics]
    if known:
        for deleted in admin.delete_topics(known, operation_timeout=30).values():
            deleted.result(timeout=60)
    eventually(
        lambda: not {*topics.all()} & admin.list_topics(timeout=30).topics.keys(),
        lambda: f"{known} are not deleted",
        within_s=30,
    )


def _every_instance_has_every_model(cluster: Cluster, job: str, talk: Conversation) -> None:
    """Checks that all three instances have scored, and that no record waited for a model.

    Sends on until each has scored some: records come to the instances in vectors, as the stream makes them.
    """

    def vertex(name: str) -> dict[str, Any]:
        (found,) = (one for one in cluster.get(job)["vertices"] if re.split(" -|,", one["name"])[0] == name)
        return dict(found)

    def written() -> list[int]:
        subtasks = cluster.get(f"{job}/vertices/{vertex('serve')['id']}")["subtasks"]
        return [subtask["metrics"]["write-records"] for subtask in subtasks]

    def all_have_scored() -> bool:
        if len(written()) == 3 and min(written()) > 50:
            return True
        talk.send(1)
        talk.check()
        return False

    eventually(all_have_scored, lambda: f"{written()}", within_s=60)
    assert vertex("serve: unmatched")["metrics"]["read-records"] == 0


NEWER = (
    "holds state of schema version 99, this software reads up to 3: restore it with the version that wrote"
)
OTHER = "was made by the other job, which keeps its models in another way: restore it with flink run -s"


@pytest.mark.parametrize(
    ("variant", "start", "why"),
    [
        ("keyed", savepoint("keyed", 99), f"{savepoint('keyed', 99)} {NEWER}"),
        ("broadcast", savepoint("keyed", 1), f"{savepoint('keyed', 1)} {OTHER}"),
        (
            "keyed",
            Path("/nowhere"),
            "no savepoint or checkpoint can be read from /nowhere (flink run -s): name",
        ),
    ],
    ids=["of newer software", "of the keyed job", "not there"],
)
def test_a_savepoint_that_cannot_be_used_is_one_line(
    broker: EmbeddedBroker, tmp_path: Path, variant: str, start: Path, why: str
) -> None:
    flags = job_flags(broker.bootstrap_servers, topics_of(variant), tmp_path, "refused")
    script = f"flink_jobs/{variant}.py"
    done = run_flink(["run", "-s", str(start), "-py", script, *flags], within_s=120)
    assert done.returncode != 0
    printed = [line for line in done.stdout.splitlines() if "was created" not in line]
    assert [line[: len(variant) + 5 + len(why)] for line in printed] == [f"{variant}.py: {why}"], done.stdout
    assert [line for line in done.stderr.splitlines() if "was created" not in line] == []
