"""Runs the jobs as a user does: ``flink run -py …`` in a child process. No process may be left at the end."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import psutil

from model_serving.messaging.topics import TopicNames
from tests.patience import Patience, patience

__all__ = [
    "FLINK",
    "FRESH",
    "HOSTS",
    "MARK",
    "MODEL_SERVING",
    "ROOT",
    "SPARK_SUBMIT",
    "SPARK_VARIANTS",
    "VARIANTS",
    "FlinkRun",
    "ServerRun",
    "SparkRun",
    "ends_with_this_process",
    "eventually",
    "job_flags",
    "launcher_from",
    "marked_processes",
    "run_flink",
    "server_flags",
]

ROOT = Path(__file__).resolve().parents[1]
FLINK = Path(sys.prefix) / "bin" / "flink"
MODEL_SERVING = Path(sys.prefix) / "bin" / "model-serving"
FRESH = (str(FLINK), "run", "-py")
"""The words that start a job that is not restored."""

VARIANTS = ("keyed", "broadcast")
"""The Flink jobs."""

HOSTS = (*VARIANTS, "server")
"""Everything that serves from Kafka, without Spark."""

SPARK_VARIANTS = ("spark-keyed", "spark-broadcast")
"""The Spark jobs. A batch takes half a second, so the tests are fewer."""

SPARK_SUBMIT = ROOT / ".venv-spark" / "bin" / "spark-submit"

MARK = "MODEL_SERVING_TEST_RUN"
_START_S = 180.0
_STOP_S = 40.0
_PR_SET_PDEATHSIG = 1
_GO_ON = re.compile(r"^\w+\.py: to go on from here: flink run -s (\S+) -py", re.MULTILINE)
_SPARK_RUNS = re.compile(r"^\w+\.py: job \S+ runs$", re.MULTILINE)
# As for Flink and Kafka in tests/conftest.py, which says why.
_BRIEFLY = "-XX:TieredStopAtLevel=1 -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
_SPARK_OPTIONS = ("--conf", f"spark.driver.extraJavaOptions={_BRIEFLY} -XX:+UseSerialGC")
_READS = re.compile(r"^\S+ \S+: (?:admits models from now on|reads partitions \d.*)$", re.MULTILINE)
_RUNS = re.compile(r"^\w+\.py: job (?P<id>[0-9a-f]{32}) runs$", re.MULTILINE)


def eventually(
    condition: Callable[[], bool], what: Callable[[], str], *, within_s: float, step_s: float = 0.1
) -> None:
    """Waits until ``condition`` holds. After ``within_s`` seconds it fails with the text of ``what``.

    On a busy machine it waits longer.
    """
    wait = Patience(within_s)
    while not condition():
        if wait.is_over:
            raise AssertionError(f"not within {within_s:g} s: {what()}")
        time.sleep(step_s)


def job_flags(bootstrap_servers: str, topics: TopicNames, checkpoints: Path, group: str) -> list[str]:
    """Returns the flags that give a job its own topics, consumer groups and checkpoints."""
    return [
        *("--bootstrap-servers", bootstrap_servers),
        *("--models-topic", topics.models),
        *("--data-topic", topics.data),
        *("--results-topic", topics.results),
        *("--dead-letter-topic", topics.dead_letters),
        *("--status-topic", topics.status),
        *("--stats-topic", topics.stats),
        *("--models-group", f"{group}-models"),
        *("--data-group", f"{group}-data"),
        *("--checkpoint-dir", str(checkpoints)),
    ]


def server_flags(bootstrap_servers: str, topics: TopicNames, group: str) -> list[str]:
    """Returns the flags that give a server its own topics, consumer groups, state topic and name."""
    flags = job_flags(bootstrap_servers, topics, Path(), group)
    return [*flags[: flags.index("--checkpoint-dir")], "--state-topic", f"{group}-state", "--name", "one"]


def marked_processes(mark: str) -> list[str]:
    """Returns id and command of every process with this mark in its environment, in any session."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
        except (psutil.Error, OSError):
            continue
    return found


def launcher_from(snapshot: str | Path, *options: str) -> tuple[str, ...]:
    """Returns the words that restore a job from a checkpoint or savepoint, with more ``options``."""
    return (str(FLINK), "run", "-s", str(snapshot), *options, "-py")


class FlinkRun:
    """Runs a job with ``flink run`` while the context is open.

    At the end of the context without an error, the job is stopped by SIGTERM. It must end with status 0, and
    none of its processes may be left. ``name`` is the job's script without its ending, ``log`` is for its
    output, ``launcher`` are the words before the script.
    """

    def __init__(
        self,
        name: str,
        flags: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        launcher: Sequence[str] = FRESH,
    ) -> None:
        self._command = [*launcher, str(ROOT / "flink_jobs" / f"{name}.py"), *flags]
        self._started = _RUNS
        self._log = log
        self._mark = uuid4().hex
        self._environ = {**os.environ, **(environ or {}), MARK: self._mark}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the job has not been started"
        return self._process

    @property
    def mark(self) -> str:
        """The value of ``MARK`` in the environment of all processes of this run, and of no other process."""
        return self._mark

    def printed(self) -> str:
        """The output of the job until now."""
        return self._log.read_text(errors="replace")

    def job_id(self) -> str:
        """Flink's id of the running job."""
        found = _RUNS.search(self.printed())
        assert found is not None, f"no job id in:\n{self.printed()}"
        return found["id"]

    def savepoint(self) -> str:
        """The savepoint that a stopped local job names in its output."""
        found = _GO_ON.search(self.printed())
        assert found is not None, f"stopped without a savepoint:\n{self.printed()[-4000:]}"
        return found[1]

    def check(self) -> None:
        """Fails when the job has ended."""
        status = self.process.poll()
        assert status is None, f"the job ended with status {status}:\n{self.printed()[-4000:]}"

    def await_end(self, *, within_s: float) -> int:
        """Waits until the job ends by itself, and returns its exit status."""
        try:
            return self.process.wait(patience(within_s))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {within_s:g} s:\n{self.printed()[-4000:]}") from None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stops the job, and returns its exit status."""
        self.process.send_signal(number)
        return self.await_end(within_s=_STOP_S)

    def left_over(self) -> list[str]:
        """Returns the processes of the job that still run."""
        return marked_processes(self._mark)

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._log.parent,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=ends_with_this_process(),  # noqa: PLW1509 - it makes one system call
            )
        try:
            eventually(
                lambda: self._started.search(self.printed()) is not None or self.process.poll() is not None,
                lambda: f"no job runs:\n{self.printed()[-4000:]}",
                within_s=_START_S,
            )
            assert self._started.search(self.printed()) is not None, self.printed()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self.process.poll() is None:
                    assert self.stop() == 0, f"stopped with an error:\n{self.printed()[-4000:]}"
                assert self.left_over() == []
        finally:
            self._kill()

    def _kill(self) -> None:
        """Ends the remaining processes, first by SIGTERM, so that the flink command ends its own children."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience(_STOP_S))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for line in marked_processes(self._mark):
            try:
                psutil.Process(int(line.split()[0])).kill()
            except psutil.Error:
                continue


class ServerRun(FlinkRun):
    """Runs ``model-serving run`` while the context is open; otherwise like FlinkRun."""

    def __init__(self, flags: Sequence[str], log: Path, *, environ: Mapping[str, str] | None = None) -> None:
        super().__init__("server", (), log, environ=environ)
        self._command = [str(MODEL_SERVING), "run", *flags]
        self._started = _READS


class SparkRun(FlinkRun):
    """Runs a Spark job with ``spark-submit`` while the context is open; otherwise like FlinkRun.

    ``variant`` is one of SPARK_VARIANTS, ``options`` are for spark-submit.
    """

    def __init__(
        self,
        variant: str,
        flags: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(variant, (), log, environ=environ)
        script = ROOT / "spark_jobs" / f"{variant.removeprefix('spark-')}.py"
        submit = [str(SPARK_SUBMIT), *_SPARK_OPTIONS, *options]
        self._command = [*submit, str(script), *flags, "--ui-port", "0"]
        self._started = _SPARK_RUNS


def ends_with_this_process() -> Callable[[], object]:
    """Runs in a child before its command: asks for SIGTERM at the end of the tests (Linux)."""
    if not sys.platform.startswith("linux"):
        return lambda: None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def run_flink(
    arguments: Sequence[str], *, within_s: float, environ: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Runs a call of the ``flink`` command that ends by itself."""
    return subprocess.run(
        [str(FLINK), *arguments],
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience(within_s),
        check=False,
    )
