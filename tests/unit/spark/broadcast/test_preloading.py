"""Worker processes load the next model before it serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.spark.broadcast.preloading import Preloading
from model_serving.spark.broadcast.scoring import TaskScoring
from tests.unit.spark.broadcast.driver import Job, Killed, records

_SECOND = 1_000_000_000


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture
def worker(job: Job) -> tuple[TaskScoring, Preloading]:
    """A process that serves version one, and says that it is there."""
    job.start()
    task = job.task()
    job.publish(b"one")
    job.step()
    job.run(task, records(1))
    preloading = job.preloading(task)
    preloading.step()
    return task, preloading


def test_a_model_serves_once_the_worker_processes_have_loaded_it(
    job: Job, worker: tuple[TaskScoring, Preloading]
) -> None:
    task, preloading = worker
    job.publish(b"two")
    job.step()
    job.step()
    job.run(task, records(2))
    assert job.statuses == [("ACTIVE", "one")]
    before = job.loads(b"two")
    preloading.step()
    assert job.loads(b"two") == before + 1
    job.step()
    job.run(task, records(3))
    preloading.step()
    assert job.statuses == [("ACTIVE", "one"), ("ACTIVE", "two")]
    assert job.results == [(1, "one"), (2, "one"), (3, "two")]
    # The swap has loaded nothing, and nobody else holds the version before in the worker process.
    assert job.loads(b"two") == before + 1
    assert len(job.engine.live) == 3


def test_a_process_that_is_gone_is_not_waited_for(job: Job, worker: tuple[TaskScoring, Preloading]) -> None:
    job.publish(b"two")
    job.step()
    job.clock.pass_ns(2 * _SECOND)
    job.step()
    assert job.statuses[-1] == ("ACTIVE", "two")
    assert job.folder.names("workers") == []


def test_a_process_that_takes_too_long_is_not_waited_for(
    job: Job, worker: tuple[TaskScoring, Preloading]
) -> None:
    job.publish(b"two")
    job.step()
    presence = worker[1]._presence
    for _ in range(29):
        job.clock.pass_ns(_SECOND)
        presence.say([])
        job.step()
    assert job.statuses[-1] == ("ACTIVE", "one")
    job.clock.pass_ns(_SECOND)
    presence.say([])
    job.step()
    assert job.statuses[-1] == ("ACTIVE", "two")


def test_of_several_models_only_the_last_is_waited_for(
    job: Job, worker: tuple[TaskScoring, Preloading]
) -> None:
    job.publish(b"two")
    job.publish(b"three")
    job.step()
    job.step()
    assert job.statuses == [("ACTIVE", "one"), ("ACTIVE", "two")]
    worker[1].step()
    job.step()
    assert job.statuses[-1] == ("ACTIVE", "three")


def test_a_model_that_does_not_load_in_a_process_holds_nothing_up(
    job: Job, worker: tuple[TaskScoring, Preloading]
) -> None:
    task, preloading = worker
    job.publish(b"two")
    job.step()
    job.breaks(b"two", "no library here")
    preloading.step()
    job.step()
    job.run(task, records(2))
    assert job.results == [(1, "one"), (2, "one")]
    assert job.statuses == [("ACTIVE", "one"), ("ACTIVE", "two"), ("REJECTED", "two")]


def test_a_driver_that_is_killed_while_processes_get_ready_swaps_after_its_restart(
    job: Job, worker: tuple[TaskScoring, Preloading]
) -> None:
    job.publish(b"two")
    job.step()
    job.kill_at = 0
    worker[1].step()
    with pytest.raises(Killed):
        job.step()
    job.kill_at = None
    job.start()
    job.step()
    job.run(worker[0], records(2))
    assert job.statuses == [("ACTIVE", "one"), ("ACTIVE", "two")]
    assert job.results == [(1, "one"), (2, "two")]


def test_a_process_without_the_data_type_is_ready(job: Job) -> None:
    job.start()
    preloading = job.preloading(job.task())
    job.publish(b"one")
    job.step()
    job.publish(b"two")
    preloading.step()
    job.step()
    preloading.step()
    job.step()
    assert job.statuses[-1] == ("ACTIVE", "two")
    assert job.loads(b"two") == 1


def test_nothing_is_loaded_for_a_data_type_that_is_removed(
    job: Job, worker: tuple[TaskScoring, Preloading]
) -> None:
    job.publish(b"two")
    job.command(ModelDescriptor.REMOVE)
    job.step()
    job.step()
    assert job.statuses == [("ACTIVE", "one"), ("ACTIVE", "two"), ("REMOVED", "two")]
