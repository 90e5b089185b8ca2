"""The models loop on the driver, and tasks that follow it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model_serving.core.admission.signing import sign
from model_serving.core.scoring.waiting import NoModelPolicy
from model_serving.messaging.sources import SOURCE_HEADER
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.spark.broadcast.pointer import Pointer
from model_serving.testing import Script
from tests.unit.spark.broadcast.driver import TOPICS, Job, Killed, records

_TYPES = [f"type{number}" for number in range(10)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_a_task_that_starts_after_active_scores_with_the_new_version(job: Job) -> None:
    job.start()
    task, other = job.task(), job.task()
    job.publish(b"one")
    job.step()
    job.run(task, records(1, 2))
    job.publish(b"two")
    job.step()
    assert job.statuses == [("ACTIVE", "one"), ("ACTIVE", "two")]
    job.run(task, records(3))
    job.run(other, records(4))
    assert job.results == [(1, "one"), (2, "one"), (3, "two"), (4, "two")]


def test_a_task_without_models_loads_only_those_that_its_records_need(job: Job) -> None:
    job.start()
    for data_type in _TYPES:
        job.publish(b"one", data_type, version=data_type)
    job.step()
    loaded = job.loads(b"one")
    job.run(job.task(), records(1, data_type="type3") + records(2, data_type="type5"))
    assert job.results == [(1, "type3"), (2, "type5")]
    # Both have the same content, so the process loads it once.
    assert job.loads(b"one") == loaded + 1


def test_pointer_is_published_before_active(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job.start()
    job.publish(b"one")
    job.kill_at = 1
    with pytest.raises(Killed):
        job.step()
    # Killed before the status: tasks have the model already, and the next driver writes the status.
    assert job.statuses == []
    job.run(job.task(), records(1))
    assert job.results == [(1, "one")]
    job.kill_at = None
    job.start()
    assert job.statuses == [("ACTIVE", "one")]
    job.start()
    assert job.statuses == [("ACTIVE", "one")]


def test_a_driver_that_is_killed_before_its_commit_carries_the_message_out_again(job: Job) -> None:
    job.start()
    job.publish(b"one")
    job.publish(b"two")
    job.publish(b"three")
    job.step()
    job.command(ModelDescriptor.ROLLBACK)
    job.kill_at = 0
    with pytest.raises(Killed):
        job.step()
    job.kill_at = None
    job.start()
    job.step()
    # Rolled back once.
    job.run(job.task(), records(1))
    assert job.results == [(1, "two")]
    assert job.statuses[-1] == ("ACTIVE", "two")


def test_models_serve_after_a_restart_without_being_published_again(job: Job) -> None:
    job.start()
    job.publish(b"one")
    job.publish(b"two")
    job.step()
    job.start()
    job.run(job.task(), records(1))
    assert job.results == [(1, "two")]
    job.command(ModelDescriptor.ROLLBACK)
    job.step()
    job.run(job.task(), records(2))
    assert job.results == [(1, "two"), (2, "one")]


def test_remove_and_publish_again(job: Job) -> None:
    job.start()
    task = job.task()
    job.publish(b"one")
    job.step()
    job.run(task, records(1))
    job.command(ModelDescriptor.REMOVE)
    job.step()
    job.run(task, records(2))
    job.step()
    assert (job.results, job.statuses[-1]) == ([(1, "one")], ("REMOVED", "one"))
    job.publish(b"two")
    job.step()
    job.run(task, records(3))
    assert job.results == [(1, "one"), (2, "two"), (3, "two")]


def test_records_wait_on_the_driver_and_are_scored_in_their_order(job: Job) -> None:
    job.start()
    task = job.task()
    job.run(task, records(1, 2))
    job.step()
    job.run(task, records(3))
    job.step()
    assert job.folder.names("handed-over") == []
    job.start()
    job.publish(b"one")
    job.step()
    assert job.results == [(1, "one"), (2, "one"), (3, "one")]
    places = [dict(headers)[SOURCE_HEADER] for topic, _, headers in job.written if topic == TOPICS.results]
    assert places == [b"mdata/0/0", b"mdata/0/1", b"mdata/0/2"]


def test_records_that_a_task_leaves_after_the_model_came_are_scored(job: Job) -> None:
    job.start()
    task = job.task()
    task.look()
    job.run(task, records(1))
    job.publish(b"one")
    # The driver takes the model first, and then the record.
    job.step()
    job.step()
    assert job.results == [(1, "one")]


def test_what_does_not_fit_in_the_buffer_is_dead_lettered(tmp_path: Path) -> None:
    job = Job(tmp_path, limit=2)
    job.start()
    job.run(job.task(), records(1, 2, 3))
    job.step()
    assert [letter.reason for letter in job.letters] == [DeadLetter.NO_MODEL]
    assert job.letters[0].payload == records(3)[0]


@pytest.mark.parametrize("policy", [NoModelPolicy.DEAD_LETTER, NoModelPolicy.DROP])
def test_records_that_may_not_wait_do_not_go_to_the_driver(tmp_path: Path, policy: NoModelPolicy) -> None:
    job = Job(tmp_path, policy=policy)
    job.start()
    job.run(job.task(), records(1, 2))
    assert job.folder.names("handed-over") == []
    wanted = 2 if policy is NoModelPolicy.DEAD_LETTER else 0
    assert [letter.reason for letter in job.letters] == [DeadLetter.NO_MODEL] * wanted


def test_a_status_says_that_records_wait(job: Job) -> None:
    job.start()
    job.run(job.task(), records(1, 2))
    job.step()
    assert job.statuses == []
    job.clock.pass_ns(10_000_000_000)
    job.step()
    job.step()
    found = [ModelStatus.FromString(one) for one in job.on(TOPICS.status)]
    assert [(one.state, one.waiting) for one in found] == [(ModelStatus.UNSPECIFIED, 2)]


def test_at_the_end_of_a_bounded_run_records_without_a_model_are_dead_lettered(tmp_path: Path) -> None:
    job = Job(tmp_path, bounded=True)
    job.publish(b"one")
    job.start()
    job.step()
    assert job.loop is not None
    assert job.loop.caught_up
    job.run(job.task(), records(1) + records(2, data_type="beer"))
    job.loop.end()
    assert job.results == [(1, "one")]
    assert [(letter.reason, letter.dataType) for letter in job.letters] == [(DeadLetter.NO_MODEL, "beer")]


def test_a_message_that_is_no_model_is_dead_lettered_with_its_bytes(job: Job) -> None:
    job.start()
    job.published.append(b"\xff\xff")
    job.step()
    assert [(one.reason, one.payload) for one in job.letters] == [(DeadLetter.UNPARSABLE, b"\xff\xff")]


def test_a_failing_model_is_taken_back(tmp_path: Path) -> None:
    job = Job(tmp_path, {b"bad": Script(fields=("alcohol",), x="alcohol", poison=7.0)})
    job.start()
    task = job.task()
    job.publish(b"one")
    job.publish(b"bad")
    job.step()
    job.run(task, records(7, 7, 7))
    assert [letter.reason for letter in job.letters] == [DeadLetter.SCORING_FAILED] * 3
    # The task's message goes to the models topic, where the driver reads it.
    job.published += job.on(TOPICS.models)
    job.step()
    job.run(task, records(8))
    assert job.results == [(8, "one")]


def test_a_model_that_does_not_load_in_a_task_is_taken_back(job: Job) -> None:
    job.start()
    task = job.task()
    job.publish(b"one")
    job.step()
    job.run(task, records(1))
    job.publish(b"two")
    job.step()
    job.breaks(b"two", "no library here")
    job.run(task, records(2))
    assert job.results == [(1, "one"), (2, "one")]
    assert job.statuses[-1] == ("REJECTED", "two")
    job.published += job.on(TOPICS.models)
    job.step()
    assert job.statuses[-1] == ("ACTIVE", "one")


def test_records_wait_on_the_driver_while_a_model_server_is_away(job: Job) -> None:
    job.start()
    task = job.task()
    job.publish(b"one")
    job.step()
    job.engine.goes_away()
    job.run(task, records(1, 2))
    job.step()
    assert (job.results, job.letters) == ([], [])
    job.engine.comes_back()
    job.clock.pass_ns(1_000_000_000)
    job.step()
    assert job.results == [(1, "one"), (2, "one")]


def test_files_of_values_that_are_gone_are_deleted(job: Job) -> None:
    job.start()
    task = job.task()
    job.run(task, records(*range(1, 200)))
    job.step()
    assert len(job.folder.names("bodies")) == 1
    # Left by a driver that was killed before its commit.
    job.folder.write("bodies/0123", b"left")
    job.start()
    assert len(job.folder.names("bodies")) == 1
    job.publish(b"one")
    job.step()
    assert job.folder.names("bodies") == []
    assert len(job.results) == 199


def test_a_pointer_that_is_missing_for_a_moment_changes_nothing(job: Job) -> None:
    job.start()
    job.publish(b"one")
    job.step()
    pointer = Pointer(job.folder)
    orders = pointer.look()
    assert list(orders) == ["wine"]
    assert pointer.look() is orders
    job.folder.delete("pointer.json")
    assert pointer.look() is orders


def test_where_signatures_are_wanted_only_signed_models_serve(job: Job, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("0123456789abcdef0123456789abcdef")
    job.settings = replace(job.settings, model_key_file=str(tmp_path / "keys"))
    (key,) = job.settings.model_keys()
    job.start()
    job.publish(b"one")
    job.published[-1] = sign(job.published[-1], key)
    job.publish(b"two")
    job.step()
    job.run(job.task(), records(1))
    assert job.results == [(1, "one")]
    assert sorted(job.statuses) == [("ACTIVE", "one"), ("REJECTED", "")]
    assert [letter.payload for letter in job.letters] == [job.published[-1]]


def test_records_of_many_data_types_are_left_in_one_file(job: Job) -> None:
    job.start()
    payloads = [payload for number in range(50) for payload in records(number + 1, data_type=f"t{number}")]
    job.run(job.task(), payloads)
    assert len(job.folder.names("handed-over")) == 1
    job.step()
    job.publish(b"one", "t7")
    job.step()
    assert job.results == [(8, "one")]
