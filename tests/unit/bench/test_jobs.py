"""The commands of the systems that are measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import jobs
from bench.errors import BenchError
from bench.jobs import SPARK, RunningJob, our_command
from model_serving.messaging.topics import TopicNames


@pytest.mark.parametrize("variant", SPARK)
def test_a_spark_job_runs_in_its_own_environment(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / ".venv-spark" / "bin" / "python"
    monkeypatch.setattr(jobs, "project_root", lambda: tmp_path)
    with pytest.raises(BenchError, match="run make install-spark"):
        our_command(variant, "localhost:1", TopicNames(), tmp_path / "kept")
    python.parent.mkdir(parents=True)
    python.touch()
    command = our_command(
        variant, "localhost:1", TopicNames(), tmp_path / "kept", flags=("--parallelism", "2")
    )
    script = tmp_path / "spark_jobs" / f"{variant.removeprefix('spark-')}.py"
    assert command[:2] == [str(python), str(script)]
    assert command[command.index("--checkpoint-dir") + 1] == str(tmp_path / "kept")
    assert command[-2:] == ["--parallelism", "2"]


class Stopped:
    """A process that has ended."""

    pid, exit_status = 0, 0

    def stop(self) -> None:
        """It has stopped."""


@pytest.mark.parametrize(
    ("printed", "savepoint"),
    [
        (
            "keyed.py: to go on from here: flink run -s file:/kept/sp-1 -py flink_jobs/keyed.py\n",
            "file:/kept/sp-1",
        ),
        ("12:00:00 one: stopped\n", None),
        ("broadcast.py: stopped\n26/11/29 07:49:16 WARN of Spark\n", None),
    ],
)
def test_what_a_stopped_job_goes_on_from(printed: str, savepoint: str | None, tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text(printed)
    assert RunningJob(Stopped(), log).stop_with_savepoint() == savepoint  # type: ignore[arg-type]


def test_a_job_that_ended_otherwise_has_no_savepoint(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text("keyed.py: no Kafka broker answers\n")
    with pytest.raises(BenchError, match="no Kafka broker answers"):
        RunningJob(Stopped(), log).stop_with_savepoint()  # type: ignore[arg-type]
