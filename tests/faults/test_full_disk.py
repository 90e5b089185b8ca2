"""The disk with the checkpoints and the model store is full, under load; then there is room again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.faults.drill import Drill
from tests.faults.numbered_load import NumberedLoad
from tests.faults.small_disk import SmallDisk, needs_mounts
from tests.job_models import constant_pmml
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import FRESH, FlinkRun, eventually, job_flags

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300), needs_mounts]

_FULL = "No space left on device"
_RESTARTS = "the job failed and restarts"


@dataclass(frozen=True, slots=True)
class Struck:
    """A job under load whose checkpoints and stored models are on a disk that can be filled."""

    variant: str
    disk: SmallDisk
    job: FlinkRun
    traffic: Traffic
    drill: Drill

    @property
    def folder(self) -> str:
        return (self.disk.folder / "checkpoints").as_uri()

    def fill(self) -> None:
        """Fills the disk; returns when the job has said that a checkpoint failed."""
        told = self.job.printed().count("failed: ")

        def said() -> bool:
            # Again and again: a checkpoint that still completes makes room by removing the one before.
            self.disk.fill(self.job.process.pid)
            self.traffic.check()
            return self.job.printed().count("failed: ") > told

        eventually(said, lambda: f"nothing is told:\n{self.job.printed()[-2000:]}", within_s=30)

    def make_room(self) -> None:
        """Mends the disk; returns when checkpoints complete again."""
        self.disk.make_room(self.job.process.pid)
        self.await_line(rf"{self.variant}\.py: checkpoints complete again, the first is number \d+")
        self.drill.await_checkpoints(2)

    def await_line(self, line: str) -> str:
        """A line that the job prints."""

        def found() -> re.Match[str] | None:
            return re.search(f"^{line}$", self.job.printed(), re.MULTILINE)

        eventually(
            lambda: found() is not None,
            lambda: f"no line {line}:\n{self.job.printed()[-2000:]}",
            within_s=60,
        )
        there = found()
        assert there is not None
        return there[0]


@contextmanager
def on_a_small_disk(variant: str, delivery: str, broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Struck]:
    """The job, half of a second between its checkpoints, in full swing."""
    disk = SmallDisk(tmp_path / "disk", megabytes=16)
    topics = fresh_topics(broker)
    flags = [
        *job_flags(broker.bootstrap_servers, topics, disk.folder / "checkpoints", topics.models),
        *("--checkpoint-interval-ms", "500", "--inline-limit", "1000000", "--delivery", delivery),
    ]
    with (
        FlinkRun(variant, flags, tmp_path / "job.log", launcher=disk.command(FRESH)) as job,
        Traffic(variant, broker.bootstrap_servers, topics, job.check) as traffic,
        NumberedLoad(traffic) as load,
    ):
        folder = disk.seen_from_here(job.process.pid) / "checkpoints"
        drill = Drill(traffic, load, folder, exactly_once=delivery == "exactly-once")
        drill.await_checkpoints(1)
        yield Struck(variant, disk, job, traffic, drill)


def large_model() -> ModelDescriptor:
    return ModelDescriptor(
        name="m", dataType="large", modeltype="PMML", version="v1", data=constant_pmml(1, padding=2_000_000)
    )


def test_records_are_scored_on_and_the_user_is_told(broker: EmbeddedBroker, tmp_path: Path) -> None:
    with on_a_small_disk("keyed", "at-least-once", broker, tmp_path) as struck:
        struck.fill()
        struck.await_line(
            rf"keyed\.py: checkpoint \d+ failed: {_FULL}; free or mend {struck.folder} \(scoring goes on; "
            r"after a crash, the records since checkpoint \d+ would be scored again\)"
        )
        struck.drill.in_full_swing()
        struck.traffic.offer(large_model())
        (refused,) = struck.traffic.await_statuses("large", 1)
        assert refused.state == ModelStatus.REJECTED
        assert "cannot be stored" in refused.detail
        assert _FULL in refused.detail
        struck.traffic.await_letters(lambda letter: letter.detail == refused.detail, 1)
        struck.traffic.letters.clear()

        struck.make_room()
        struck.traffic.serve(large_model())
        assert struck.job.printed().count("failed: ") == 1, "told more than once"

        result = struck.drill.verdict()
        print(result)
        assert result.doubled == (), "the job went on, nothing was read again"
        assert _RESTARTS not in struck.job.printed()

        # Stopped while it is full: no savepoint, but a way to go on.
        struck.fill()
        assert struck.job.stop() == 0
        printed = struck.job.printed()
        assert f"keyed.py: no savepoint could be made ({_FULL}), cancelling\n" in printed
        assert re.search(r"^keyed\.py: to go on from the last checkpoint\b.*/chk-\d+ ", printed, re.MULTILINE)


def test_exactly_once_restarts_before_its_transactions_time_out(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with on_a_small_disk("broadcast", "exactly-once", broker, tmp_path) as struck:
        struck.fill()
        struck.await_line(
            rf"broadcast\.py: checkpoint \d+ failed: {_FULL}; free or mend {struck.folder} \(scoring "
            r"goes on; results stay uncommitted until a checkpoint completes, and "
            r"the job restarts from checkpoint \d+ when too many fail in a row\)"
        )
        struck.await_line(
            rf"broadcast\.py: {_RESTARTS} \(from its last checkpoint\): "
            r".*Exceeded checkpoint tolerable failure threshold\..*"
        )
        struck.make_room()
        struck.drill.in_full_swing()
        print(struck.drill.verdict())
