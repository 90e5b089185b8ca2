from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.runtime.errors import SetupError
from model_serving.runtime.flink_args import FlinkCall, JobScript, read_call

PROJECT = Path("/project")
SCRIPT = "flink_jobs/keyed.py"
CLUSTER = {"FLINK_REST": "localhost:8081"}


def read(line: str, environ: dict[str, str] | None = None, *, in_project: bool = True) -> FlinkCall:
    """Reads a call made in the project's folder, or in a folder without flink_jobs."""
    return read_call(
        line.split(),
        environ or {},
        project=PROJECT,
        exists=lambda path: in_project or path.is_absolute(),
    )


@pytest.mark.parametrize(
    ("line", "environ", "completed"),
    [
        ("run -py other.py", {}, "run -t local -py other.py"),
        ("run -py other.py", CLUSTER, "run -m localhost:8081 -py other.py"),
        ("run -py other.py", {"FLINK_REST": "http://jm:8081/"}, "run -m jm:8081 -py other.py"),
        ("run -m jm:1 -py other.py", CLUSTER, "run -m jm:1 -py other.py"),
        ("run --jobmanager jm:1 -py other.py", CLUSTER, "run --jobmanager jm:1 -py other.py"),
        ("run -t remote -py other.py", CLUSTER, "run -t remote -py other.py"),
        ("run --target=remote -py other.py", CLUSTER, "run --target=remote -py other.py"),
        ("run -Dexecution.target=local -py a.py", CLUSTER, "run -Dexecution.target=local -py a.py"),
        ("run -D execution.target=local -py a.py", CLUSTER, "run -D execution.target=local -py a.py"),
        ("run some.jar -m is-the-programs", {}, "run -t local some.jar -m is-the-programs"),
        ("run -h", {}, "run -h"),
        ("list -a", {}, "list -a"),
        ("list -a", CLUSTER, "list -m localhost:8081 -a"),
        ("cancel -m jm:1 0123", CLUSTER, "cancel -m jm:1 0123"),
        ("savepoint 0123 /tmp/s", CLUSTER, "savepoint -m localhost:8081 0123 /tmp/s"),
        ("stop 0123", CLUSTER, "stop -m localhost:8081 0123"),
        ("info other.jar", CLUSTER, "info other.jar"),
        ("--version", CLUSTER, "--version"),
        ("", {}, ""),
    ],
)
def test_a_target_is_added_where_none_is_named(line: str, environ: dict[str, str], completed: str) -> None:
    call = read(line, environ)
    assert (" ".join(call.arguments), call.job, dict(call.variables)) == (completed, None, {})


@pytest.mark.parametrize(
    ("line", "completed", "program", "variables"),
    [
        (f"run -py {SCRIPT}", f"run -t local -py {SCRIPT}", (), {}),
        (f"run -py {SCRIPT} --bounded", f"run -t local -py {SCRIPT} -- --bounded", ("--bounded",), {}),
        (
            f"run -py {SCRIPT} --parallelism 2 --bounded",
            f"run -t local -py {SCRIPT} -- --parallelism 2 --bounded",
            ("--parallelism", "2", "--bounded"),
            {},
        ),
        (f"run -py {SCRIPT} --help", f"run -t local -py {SCRIPT} -- --help", ("--help",), {}),
        (
            f"run -py {SCRIPT} -s /chk-1 -D a.b=c -Dd=e --delivery exactly-once",
            f"run -t local -py {SCRIPT} -s /chk-1 -D a.b=c -Dd=e -- --delivery exactly-once",
            ("--delivery", "exactly-once"),
            {},
        ),
        (
            f"run --fromSavepoint=/chk-1 -d -py {SCRIPT} -- -s is-the-jobs",
            f"run -t local --fromSavepoint=/chk-1 -d -py {SCRIPT} -- -s is-the-jobs",
            ("-s", "is-the-jobs"),
            {},
        ),
        (
            f"run -p 4 -py {SCRIPT}",
            f"run -t local -p 4 -py {SCRIPT}",
            (),
            {"MODEL_SERVING_PARALLELISM": "4"},
        ),
        (
            f"run --parallelism 4 --python {SCRIPT}",
            f"run -t local --parallelism 4 --python {SCRIPT}",
            (),
            {"MODEL_SERVING_PARALLELISM": "4"},
        ),
    ],
)
def test_a_jobs_own_flags_are_kept_from_flink(
    line: str, completed: str, program: tuple[str, ...], variables: dict[str, str]
) -> None:
    assert read(line) == FlinkCall(
        arguments=tuple(completed.split()),
        job=JobScript(Path(SCRIPT), program),
        variables=variables,
    )


def test_a_jobs_script_is_found_from_any_folder() -> None:
    call = read(f"run -py {SCRIPT} --bounded", in_project=False)
    assert call == FlinkCall(
        arguments=("run", "-t", "local", "-py", f"/project/{SCRIPT}", "--", "--bounded"),
        job=JobScript(PROJECT / SCRIPT, ("--bounded",)),
        variables={},
    )


@pytest.mark.parametrize("script", ["keyed.py", "elsewhere/keyed.py", "flink_jobs/topology.py"])
def test_other_scripts_are_not_taken_for_a_job(
    script: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(f"run -py {script}").job is None


def test_a_job_in_the_current_folder_is_a_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "flink_jobs").mkdir()
    monkeypatch.chdir(tmp_path / "flink_jobs")
    assert read("run -py broadcast.py").job == JobScript(Path("broadcast.py"), ())


@pytest.mark.parametrize("line", ["list", "run -py other.py"])
def test_a_cluster_address_that_is_none_is_named(line: str) -> None:
    with pytest.raises(SetupError) as caught:
        read(line, {"FLINK_REST": "localhost"})
    assert (
        str(caught.value)
        == "FLINK_REST='localhost' is not host:port; set it like localhost:8081, or unset it"
    )


@pytest.mark.parametrize(
    ("line", "again"),
    [
        (f"run -py {SCRIPT} --bounded", f"-py {SCRIPT} --bounded"),
        (
            f"run -s /chk-1 -n -p 2 -claimMode CLAIM -py {SCRIPT} -- --delivery exactly-once",
            f"-p 2 -py {SCRIPT} -- --delivery exactly-once",
        ),
        (f"run --fromSavepoint=/chk-1 -Da.b=c -D d=e -py {SCRIPT}", f"-Da.b=c -D d=e -py {SCRIPT}"),
        (
            (
                "run -Dexecution.state-recovery.path=/a -D execution.state-recovery.claim-mode=CLAIM "
                f"-py {SCRIPT}"
            ),
            f"-py {SCRIPT}",
        ),
        (f"run -t local -py {SCRIPT} -s /chk-1 --data-topic -s", f"-t local -py {SCRIPT} --data-topic -s"),
    ],
)
def test_how_to_call_a_job_again_from_another_snapshot(line: str, again: str) -> None:
    job = read(line, in_project=False).job
    assert job is not None
    assert " ".join(job.again) == again
