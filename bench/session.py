"""A session, which every section needs: a broker, a scratch folder, models, the peer, the stored results."""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.errors import BenchError
from bench.inputs import BenchModel, ModelSet, build_inputs, model_set, models_in
from bench.jobs import (
    SERVER,
    SPARK,
    Peer,
    RunningJob,
    await_growth,
    find_peer,
    our_command,
    peer_command,
    running,
)
from bench.store import Case, Key, Rounds, Store
from bench.surroundings import now, surroundings
from bench.topics import Kafka
from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from model_serving.messaging.topics import TopicNames
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.runtime.environment import project_root

__all__ = [
    "VARIANTS",
    "Session",
    "add_common_arguments",
    "add_compare_argument",
    "in_turns",
    "open_session",
    "order_of_round",
]

VARIANTS = ("keyed", "broadcast", SERVER)
"""What is measured if nothing else is asked for. ``SPARK`` can be asked for too."""


def add_common_arguments(
    parser: argparse.ArgumentParser, *, models: str, rounds: int, variants: str = ",".join(VARIANTS)
) -> None:
    """Adds the flags of every section that runs jobs."""
    parser.add_argument(
        "--variants", default=variants, help=f"comma separated ({variants}); also {', '.join(SPARK)}"
    )
    parser.add_argument("--models", default=models, help=f"comma separated keys ({models})")
    parser.add_argument(
        "--set",
        dest="model_set",
        choices=[each.value for each in ModelSet],
        help="the set of models (seed if MODEL_SERVING_SEED_DATA is set, else sample)",
    )
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds of each system ({rounds})")
    parser.add_argument("--no-peer", action="store_true", help="measure without the JVM peer")
    parser.add_argument(
        "--job-flags", default="", help="more flags for this project's job, for example '--parallelism 2'"
    )
    parser.add_argument("--resume", action="store_true", help="leave out what is stored already")
    add_results_argument(parser)


def add_compare_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that runs this project's job in two ways, in turns."""
    parser.add_argument(
        "--compare",
        default="",
        metavar="FLAGS",
        help="in each round run the job with these flags too, for example '--delivery exactly-once'",
    )


def in_turns(
    count: int, rounds: Mapping[str, list[dict[str, Any]]]
) -> Iterator[tuple[int, str, list[dict[str, Any]]]]:
    """Gives what to measure in ``count`` rounds: the round's number from 0, the system, its figures."""
    for number in range(count):
        for system in order_of_round(number, rounds):
            yield number, system, rounds[system]


def order_of_round(number: int, systems: Iterable[str]) -> list[str]:
    """Returns the systems in the order in which they start in the round with this number, from 0.

    Every second round begins with the last system, so that none always runs right after the same other one.
    """
    order = list(systems)
    return order if number % 2 == 0 else order[::-1]


def add_results_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the flag for the folder of the stored figures."""
    parser.add_argument(
        "--results",
        type=Path,
        default=project_root() / "bench" / "results",
        help="folder of the stored figures (bench/results)",
    )


@dataclass(slots=True)
class Session:
    """A running broker, and the settings of the measurements on it."""

    section: str
    kafka: Kafka
    broker_pid: int
    folder: Path
    models: dict[str, BenchModel]
    chosen: ModelSet
    variants: tuple[str, ...]
    rounds: int
    peer: Peer | None
    job_flags: tuple[str, ...]
    store: Store
    resume: bool
    console: Console
    surroundings: dict[str, Any] = field(default_factory=surroundings)
    failures: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def say(self, text: str) -> None:
        """Prints a line of progress."""
        self.console.print(text, highlight=False, markup=False)

    def topics(self, prefix: str) -> TopicNames:
        """Returns the names of a new set of topics."""
        return TopicNames().prefixed(f"{prefix}{next(self._numbers)}-")

    def number(self) -> int:
        """Returns a number that no other name of this session has."""
        return next(self._numbers)

    def ours(
        self,
        variant: str,
        topics: TopicNames,
        *,
        flags: Sequence[str] = (),
        savepoint: str | None = None,
    ) -> list[str]:
        """Returns the command of this project's job, with checkpoints in a new folder.

        The new folder of a Spark job is a copy of the one that ``savepoint`` names.
        """
        checkpoints = self.folder / f"checkpoints-{self.number()}"
        if savepoint is not None and variant in SPARK:
            shutil.copytree(savepoint, checkpoints)
            savepoint = None
        all_flags = (*self.job_flags, *flags)
        return our_command(
            variant, self.kafka.bootstrap_servers, topics, checkpoints, flags=all_flags, savepoint=savepoint
        )

    def stop_with_savepoint(self, variant: str, job: RunningJob, command: Sequence[str]) -> str | None:
        """Stops a job of this project; returns what ``ours`` goes on from, None for the server.

        Raises:
            BenchError: the job ended without a savepoint.
        """
        savepoint = job.stop_with_savepoint()
        if variant in SPARK:
            return command[command.index("--checkpoint-dir") + 1]
        return savepoint

    def peers(self, variant: str, topics: TopicNames, model: BenchModel | None, *options: str) -> list[str]:
        """Returns the command of the JVM peer.

        Raises:
            BenchError: there is no peer.
        """
        if self.peer is None:
            raise BenchError("there is no peer: set BENCH_JVM_PEER to its folder")
        return peer_command(self.peer, variant, self.kafka.bootstrap_servers, topics, model, *options)

    @contextmanager
    def run(self, command: Sequence[str]) -> Iterator[RunningJob]:
        """Runs a command. Its log is kept when the measurement fails."""
        with running(command, self.folder / f"job-{self.number()}.log") as job:
            yield job

    def serve(self, job: RunningJob, topics: TopicNames, models: Sequence[bytes], types: int) -> None:
        """Publishes models, and waits until ``types`` data types have an ACTIVE model.

        Raises:
            BenchError: a model is rejected, or no status comes for minutes.
        """
        before = self.kafka.count(topics.status)
        self.kafka.publish(topics.models, models)
        statuses: list[bytes] = []

        def count() -> int:
            statuses[:] = self.kafka.messages(topics.status, first=before)
            return len(statuses)

        await_growth(count, types, job, silence_s=240)
        for payload in statuses:
            status = ModelStatus.FromString(payload)
            if status.state != ModelStatus.ACTIVE:
                raise BenchError(f"the job rejects the model '{status.name}': {status.detail}")

    def key(self, **parts: str | int) -> dict[str, str | int]:
        """Returns the key of a case. With --job-flags the case differs from the one with default flags."""
        return parts | ({"flags": shlex.join(self.job_flags)} if self.job_flags else {})

    def is_stored(self, key: Key) -> bool:
        """Whether a case may be left out because it is stored and --resume was given."""
        return self.resume and any(case.key == key for case in self.store.cases(self.section))

    def cases(
        self, keys: Iterable[dict[str, str | int]], measure: Callable[[dict[str, str | int]], Case]
    ) -> list[Case]:
        """Measures the cases that are not left out. A failed case is noted, and the others are measured."""
        measured = []
        for key in keys:
            if self.is_stored(key):
                continue
            try:
                measured.append(measure(key))
            except BenchError as error:
                self.failed(" ".join(map(str, key.values())), error)
        return measured

    def save(self, key: dict[str, str | int], commands: dict[str, Sequence[str]], rounds: Rounds) -> Case:
        """Stores a case."""
        words = {system: self.portable(command) for system, command in commands.items()}
        case = Case(key, now(), words, dict(rounds), self.surroundings)
        self.store.save(self.section, case)
        return case

    def twice(self, what: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Returns the figures of ``measure``. If it fails, it is called once more, and the figures say so.

        Raises:
            BenchError: ``measure`` failed twice.
        """
        try:
            return measure()
        except BenchError as error:
            self.say(f"FAILED {what}: {error}; trying once more")
            return measure() | {"failed_before": str(error)}

    def failed(self, what: str, error: BenchError) -> None:
        """Notes a measurement that could not be made."""
        line = f"{what}: {error}"
        self.failures.append(line)
        self.say(f"FAILED {line}")

    def portable(self, command: Sequence[str]) -> str:
        """Returns a command line without the paths of this machine."""
        places = {
            str(self.folder): "$TMP",
            str(self.peer.folder if self.peer else "\0"): "$BENCH_JVM_PEER",
            str(Path(os.environ.get("MODEL_SERVING_SEED_DATA") or "\0")): "$MODEL_SERVING_SEED_DATA",
            f"{Path(sys.prefix) / 'bin'}{os.sep}": "",
            f"{project_root() / '.venv-spark' / 'bin'}{os.sep}": "",
            f"{project_root()}{os.sep}": "",
        }
        line = " ".join([Path(command[0]).name, *command[1:]])
        for place, name in places.items():
            line = line.replace(place, name)
        return line


@contextmanager
def open_session(section: str, arguments: argparse.Namespace) -> Iterator[Session]:
    """Opens a session with a broker of its own, which ends with the context.

    Raises:
        BenchError: a flag names something that does not exist, or (at the end) measurements have failed.
    """
    # The jobs start as everybody's do: with the bytecode of their packages, which they would make each time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    made = build_inputs()
    chosen = model_set(arguments.model_set)
    models = models_in(chosen, made)
    wanted = _named(arguments.models, models)
    variants = _named(arguments.variants, (*VARIANTS, *SPARK))
    peer = None if arguments.no_peer else find_peer()
    folder = Path(tempfile.mkdtemp(prefix="model-serving-bench-"))
    kafka = folder / "kafka"
    console = Console(width=max(140, Console().width))
    failed = True
    try:
        with EmbeddedBroker(folder=kafka, retention=Retention.KEEP) as broker:
            session = Session(
                section=section,
                kafka=Kafka(broker.bootstrap_servers),
                broker_pid=broker.pid or 0,
                folder=folder,
                models={key: models[key] for key in wanted},
                chosen=chosen,
                variants=tuple(variants),
                rounds=arguments.rounds,
                peer=peer,
                job_flags=tuple(shlex.split(arguments.job_flags)),
                store=Store(arguments.results),
                resume=arguments.resume,
                console=console,
            )
            if peer is None:
                session.say("no JVM peer (BENCH_JVM_PEER names its folder): no ratios")
            if session.surroundings["by_session"]:
                session.say(
                    "Linux shares processor time by session here, so a job with many threads waits longer on "
                    "busy cores: to measure without that, `sysctl -w kernel.sched_autogroup_enabled=0`"
                )
            yield session
        failed = bool(session.failures)
        if failed:
            raise BenchError(f"{len(session.failures)} measurements failed, logs are in {folder}")
    except KeyboardInterrupt:
        failed = False
        raise
    finally:
        # After a failure the logs stay, and nothing else: topics and checkpoints are gigabytes.
        gigabytes = [kafka / "data", folder / "models", *folder.glob("checkpoints-*")]
        for place in gigabytes if failed else [folder]:
            shutil.rmtree(place, ignore_errors=True)


def _named(words: str, known: Sequence[str] | dict[str, BenchModel]) -> list[str]:
    names = [word for word in words.split(",") if word]
    for name in names:
        if name not in known:
            raise BenchError(f"there is no '{name}': choose from {', '.join(known)}")
    return names
