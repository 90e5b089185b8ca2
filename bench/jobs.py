"""Runs the systems that are measured, each as a child process that ends with this process."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

from bench.errors import BenchError
from bench.inputs import BenchModel
from bench.processor_time import process_label, taken_s
from model_serving.messaging.topics import TopicNames
from model_serving.runtime.environment import project_root
from model_serving.runtime.guard import Guarded
from model_serving.runtime.java import find_java

__all__ = [
    "SERVER",
    "SPARK",
    "Peer",
    "RunningJob",
    "await_growth",
    "find_peer",
    "our_command",
    "peer_command",
    "running",
    "spark_python",
]

SERVER = "server"
"""The variant without Flink."""

SPARK = ("spark-keyed", "spark-broadcast")
"""The variants in Spark, which run in its own environment."""

_STOP_GRACE_S = 40.0
_START_S = 240.0
_RUNS = re.compile(r"^\w+\.py: job \S+ runs$|^\S+ \S+: reads partitions \d", re.MULTILINE)
_SAVEPOINT = re.compile(r"flink run -s (?P<path>\S+) -py")
_STOPPED = re.compile(r": stopped$", re.MULTILINE)
_OPENED = ("java.lang", "java.util", "java.nio", "java.time")


@dataclass(frozen=True, slots=True)
class Peer:
    """A built JVM peer: a folder with ``classes`` and ``lib``."""

    folder: Path


def find_peer() -> Peer | None:
    """Returns the peer that BENCH_JVM_PEER names, None when it is not set.

    Raises:
        BenchError: BENCH_JVM_PEER does not name a built peer.
    """
    named = os.environ.get("BENCH_JVM_PEER")
    if not named:
        return None
    folder = Path(named).resolve()
    if not (folder / "classes" / "Peer.class").is_file() or not (folder / "lib").is_dir():
        raise BenchError(f"BENCH_JVM_PEER={named} has no classes/ and lib/ of a built peer: build it there")
    return Peer(folder)


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A started system and the file with its output."""

    process: Guarded
    log: Path

    def printed(self) -> str:
        """Returns the output so far."""
        return self.log.read_text(errors="replace")

    def check(self) -> None:
        """Checks that the system runs.

        Raises:
            BenchError: the system has ended.
        """
        if self.process.exit_status is not None:
            raise BenchError(f"it has ended (status {self.process.exit_status}): {self.last_words()}")

    def last_words(self) -> str:
        """Returns the last line that it printed."""
        lines = [line for line in self.printed().splitlines() if line.strip()]
        return lines[-1] if lines else "it printed nothing"

    def condition(self) -> str:
        """Returns its last line and its running processes, which show where a start got stuck."""
        labels = []
        for process in self.processes():
            try:
                labels.append(process_label(process.cmdline(), process.name()))
            except psutil.Error:
                continue
        return f"{self.last_words()} (running: {', '.join(labels) or 'nothing'})"

    def await_start(self) -> None:
        """Waits until the job of this project runs, or the server reads.

        Raises:
            BenchError: the job has ended, or does not run in time.
        """
        end = time.monotonic() + _START_S
        while _RUNS.search(self.printed()) is None:
            self.check()
            if time.monotonic() > end:
                raise BenchError(f"no job runs after {_START_S:g} s: {self.condition()}")
            time.sleep(0.1)

    def await_exit(self, within_s: float) -> int:
        """Waits until the system ends by itself, and returns its exit status.

        Raises:
            BenchError: the system still runs after ``within_s`` seconds.
        """
        end = time.monotonic() + within_s
        while (status := self.process.exit_status) is None:
            if time.monotonic() > end:
                raise BenchError(f"it still runs after {within_s:g} s: {self.condition()}")
            time.sleep(0.1)
        return status

    def stop_with_savepoint(self) -> str | None:
        """Stops a job of this project and returns the path of its savepoint; None for hosts that have none.

        Raises:
            BenchError: the job ended without a savepoint.
        """
        self.process.stop()
        if found := _SAVEPOINT.search(self.printed()):
            return found["path"]
        if _STOPPED.search(self.printed()):
            # The server finds its state in its topic, and a Spark job in its checkpoint.
            return None
        raise BenchError(f"the job ended without a savepoint: {self.last_words()}")

    def processor_s(self) -> float:
        """Returns the processor seconds that the running processes of the system have taken so far."""
        return taken_s(self.processes())

    def processes(self) -> list[psutil.Process]:
        """Returns every process of the system, without its guard."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            return []


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[RunningJob]:
    """Runs a command while the context is open. Afterwards none of its processes is left."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = Guarded(command, grace_s=_STOP_GRACE_S, output=output)
        try:
            yield RunningJob(process, log)
        finally:
            process.stop()


def spark_python() -> Path:
    """Returns the Python of the environment that the Spark jobs run in.

    Raises:
        BenchError: there is no such environment.
    """
    python = project_root() / ".venv-spark" / "bin" / "python"
    if not python.exists():
        raise BenchError("the Spark jobs need an environment of their own: run make install-spark")
    return python


def our_command(
    variant: str,
    bootstrap_servers: str,
    topics: TopicNames,
    checkpoints: Path,
    *,
    flags: Sequence[str] = (),
    savepoint: str | None = None,
) -> list[str]:
    """Returns ``flink run`` of a job with the default flags and ``flags``, from ``savepoint`` if given.

    The job never takes offsets from the consumer group, because rounds would then disturb each other. For
    the variant ``server``, returns ``model-serving run`` with the state of all servers of the models topic.
    A Spark job goes on from what is in ``checkpoints``; it has no savepoints.
    """
    programs = Path(sys.prefix) / "bin"
    shared = [
        *("--bootstrap-servers", bootstrap_servers),
        *("--models-topic", topics.models),
        *("--data-topic", topics.data),
        *("--results-topic", topics.results),
        *("--dead-letter-topic", topics.dead_letters),
        *("--status-topic", topics.status),
        *("--stats-topic", topics.stats),
        *("--starting-offsets", "earliest"),
    ]
    if variant == SERVER:
        own = ["--state-topic", f"{topics.models}-state", "--models-group", f"{topics.models}-group"]
        # Each round begins at the start of the data topic.
        return [str(programs / "model-serving"), "run", *shared, *own, "--data-group", uuid4().hex, *flags]
    if variant in SPARK:
        script = f"{variant.removeprefix('spark-')}.py"
        return [
            *(str(spark_python()), str(project_root() / "spark_jobs" / script)),
            *shared,
            *("--checkpoint-dir", str(checkpoints), "--ui-port", "0"),
            *flags,
        ]
    return [
        *(str(programs / "flink"), "run"),
        *(("-s", savepoint) if savepoint else ()),
        *("-py", str(project_root() / "flink_jobs" / f"{variant}.py")),
        *shared,
        *("--checkpoint-dir", str(checkpoints)),
        *flags,
    ]


def peer_command(
    peer: Peer,
    variant: str,
    bootstrap_servers: str,
    topics: TopicNames,
    model: BenchModel | None,
    *options: str,
) -> list[str]:
    """Returns the command of the peer. It preloads ``model``, or reads models from the topic if None."""
    preload = ("--preload", model.preload) if model is not None and model.preload else ()
    return [
        str(find_java().java),
        "-Xmx2g",
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
        "-Dtf.inline=true",
        "-cp",
        f"{peer.folder}/classes:{peer.folder}/lib/*",
        "Peer",
        *("--bootstrap", bootstrap_servers),
        *("--models-topic", topics.models),
        *("--data-topic", topics.data),
        *("--results-topic", topics.results),
        *("--topology", "broadcast" if variant == SERVER else variant.removeprefix("spark-")),
        *("--checkpoint", "5000"),
        *preload,
        *options,
    ]


def await_growth(
    count: Callable[[], int],
    wanted: int,
    job: RunningJob,
    *,
    check: Callable[[], None] | None = None,
    silence_s: float = 120.0,
) -> None:
    """Waits until ``count`` has reached ``wanted``; it is called twice a second.

    Raises:
        BenchError: ``count`` does not grow for ``silence_s`` seconds, or ``check`` raises an error; without
            ``check`` the job's own is used.
    """
    have, grown = -1, time.monotonic()
    while (now := count()) < wanted:
        (check or job.check)()
        if now > have:
            have, grown = now, time.monotonic()
        elif time.monotonic() - grown > silence_s:
            raise BenchError(
                f"nothing new for {silence_s:g} s, {now} of {wanted} have come: {job.condition()}"
            )
        time.sleep(0.5)
