"""``python -m bench backlog``: measures how fast a backlog is scored after an outage.

This project's job starts from a savepoint, a Spark job from a copy of its checkpoint, that was made while its
topic was empty and its model served. The records came while it was down. The peer starts with the model
preloaded, as a bounded run. In each round both run in turn, each in a new JVM, on the same records. With
``--compare FLAGS`` the job also runs with these flags in each round, first and second by turns, so that their
cost is a ratio of figures from the same minutes.

A rate differs by a fifth from round to round on a shared machine. What a flag costs is told more exactly by
the processor time that the job's processes take for a record while they score the backlog.
"""

from __future__ import annotations

import argparse
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.table import Table

from bench.errors import BenchError
from bench.figures import middle_rate, rate, spread
from bench.inputs import BenchModel
from bench.jobs import RunningJob, await_growth
from bench.records import RecordMaker, data_types, epoch_ms
from bench.results import Appended
from bench.session import Session, add_common_arguments, add_compare_argument, in_turns, open_session
from bench.store import Case
from model_serving.messaging.topics import TopicNames

__all__ = ["Effort", "Prepared", "Workload", "add_arguments", "measure", "prepare", "run", "show"]

_MODELS = "graph,saved,glm,forest,network,network-onnx"
_PEER_END_S = 60.0


@dataclass(frozen=True, slots=True)
class Workload:
    """A case to prepare a job for.

    ``models`` are messages, one for each data type. ``flags`` are more flags of this project's job;
    ``compared`` are those of a second one beside it. ``peer_model`` is None when the peer cannot be compared.
    """

    key: dict[str, str | int]
    variant: str
    models: Sequence[bytes]
    flags: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    peer_model: BenchModel | None = None
    peer_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job, its topics, and what each round starts from: see ``Session.stop_with_savepoint``."""

    variant: str
    flags: tuple[str, ...]
    topics: TopicNames
    savepoint: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``backlog``."""
    add_common_arguments(parser, models=_MODELS, rounds=3)
    parser.add_argument("--records", default="400000,2000000", help="lengths of backlog (400000,2000000)")
    parser.add_argument("--types", type=int, default=1, help="data types in turn, each with its model (1)")
    parser.add_argument("--partitions", type=int, default=1, help="partitions of the data topic (1)")
    add_compare_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    lengths = sorted(int(word) for word in arguments.records.split(","))
    compared = tuple(shlex.split(arguments.compare))
    types = data_types(arguments.types)
    with open_session("compared" if compared else "backlog", arguments) as session:
        workloads = [
            Workload(
                key=session.key(variant=variant, model=model.key, set=session.chosen.value)
                | ({"compared": arguments.compare} if compared else {})
                | ({"types": len(types)} if len(types) > 1 else {})
                | ({"partitions": arguments.partitions} if arguments.partitions > 1 else {}),
                variant=variant,
                models=[
                    model.message(name, edition=number).SerializeToString()
                    for number, name in enumerate(types)
                ],
                compared=compared,
                # The peer has one model.
                peer_model=model
                if session.peer and model.preload and not compared and len(types) == 1
                else None,
            )
            for model in session.models.values()
            for variant in session.variants
        ]
        cases = measure(session, workloads, lengths, types=len(types), partitions=arguments.partitions)
        show(session, cases, "records a second from a backlog")
    return 0


def measure(
    session: Session,
    workloads: Sequence[Workload],
    lengths: Sequence[int],
    *,
    types: int = 1,
    partitions: int = 1,
) -> list[Case]:
    """Prepares all workloads on one empty data topic, then fills it to each length and runs the rounds."""
    todo = {
        length: [work for work in workloads if not session.is_stored(work.key | {"records": length})]
        for length in lengths
    }
    names = session.topics("b")
    session.kafka.create(names, partitions=partitions)
    prepared: list[tuple[Workload, dict[str, Prepared]]] = []
    for workload in workloads:
        if not any(workload in works for works in todo.values()):
            continue
        try:
            systems = {"ours": prepare(session, workload, names, workload.flags)}
            if workload.compared:
                flags = (*workload.flags, *workload.compared)
                systems["compared"] = prepare(session, workload, names, flags)
            prepared.append((workload, systems))
        except BenchError as error:
            session.failed(_title(workload.key), error)
    maker = RecordMaker(types)
    cases = []
    for length in lengths:
        session.kafka.fill(names.data, maker, length)
        for workload, systems in prepared:
            if workload not in todo[length]:
                continue
            try:
                cases.append(_rounds(session, workload, systems, length))
            except BenchError as error:
                session.failed(_title(workload.key | {"records": length}), error)
    session.kafka.remove(*names.all())
    return cases


def prepare(session: Session, workload: Workload, shared: TopicNames, flags: tuple[str, ...]) -> Prepared:
    """Starts the job on the empty data topic, waits until its models serve, and stops it with a savepoint."""
    # All runs share one model store, because a savepoint refers to models in it.
    flags = (*flags, "--model-store", str(session.folder / "models"))
    session.say(f"{_title(workload.key)}: preparing a savepoint")

    def start_and_stop() -> dict[str, Any]:
        own = session.topics("p")
        topics = TopicNames(own.models, shared.data, own.results, own.dead_letters, own.status, own.stats)
        session.kafka.create(own)
        command = session.ours(workload.variant, topics, flags=flags)
        with session.run(command) as job:
            job.await_start()
            session.serve(job, topics, workload.models, len(workload.models))
            savepoint = session.stop_with_savepoint(workload.variant, job, command)
            return {"topics": topics, "savepoint": savepoint}

    made = session.twice(f"{_title(workload.key)} savepoint", start_and_stop)
    return Prepared(workload.variant, flags, made["topics"], made["savepoint"])


def _rounds(session: Session, workload: Workload, systems: dict[str, Prepared], length: int) -> Case:
    rounds: dict[str, list[dict[str, Any]]] = {system: [] for system in systems}
    commands: dict[str, Sequence[str]] = {}
    if workload.peer_model is not None:
        rounds["peer"] = []
    for number, system, figures in in_turns(session.rounds, rounds):
        if system == "peer":
            data = systems["ours"].topics.data
            round_ = partial(_peers, session, workload, data, length, commands)
        else:
            round_ = partial(_ours, session, system, systems[system], length, commands)
        figures.append(session.twice(f"{_title(workload.key)} {system}", round_))
        session.say(
            f"{_title(workload.key)}, {length:,} records, round {number + 1}, {system}: {_said(figures[-1])}"
        )
    return session.save(workload.key | {"records": length}, commands, rounds)


def _ours(
    session: Session, system: str, ready: Prepared, length: int, commands: dict[str, Sequence[str]]
) -> dict[str, Any]:
    results = f"results-{session.number()}"
    session.kafka.create_results(results)
    kept = ready.topics
    topics = TopicNames(kept.models, kept.data, results, kept.dead_letters, kept.status, kept.stats)
    dead = session.kafka.count(topics.dead_letters)
    command = session.ours(ready.variant, topics, flags=ready.flags, savepoint=ready.savepoint)
    commands[system] = command
    appended = Appended(session.kafka, results, length)
    load, begin = _load(), epoch_ms()
    with session.run(command) as job:
        effort = Effort(job, appended.count)

        def check() -> None:
            job.check()
            if (lost := session.kafka.count(topics.dead_letters) - dead) > 0:
                raise BenchError(f"{lost} records became dead letters")

        await_growth(effort.count, length, job, check=check)
    session.kafka.remove(results)
    return _figures(appended, length, begin, load, effort)


def _peers(
    session: Session, workload: Workload, data: str, length: int, commands: dict[str, Sequence[str]]
) -> dict[str, Any]:
    results = f"results-{session.number()}"
    session.kafka.create_results(results)
    # The peer gets an empty models topic and only the preloaded model: the other topic has our messages.
    empty = f"models-{session.number()}"
    session.kafka.create_results(empty)
    topics = TopicNames(empty, data, results)
    command = session.peers(
        workload.variant, topics, workload.peer_model, "--bounded", "true", *workload.peer_options
    )
    commands["peer"] = command
    appended = Appended(session.kafka, results, length)
    load, begin = _load(), epoch_ms()
    with session.run(command) as job:
        effort = Effort(job, appended.count)

        def check() -> None:
            # A bounded run may end before all its results are counted.
            if job.process.exit_status not in {None, 0}:
                job.check()

        await_growth(effort.count, length, job, check=check)
        job.await_exit(_PEER_END_S)
    session.kafka.remove(empty, results)
    return _figures(appended, length, begin, load, effort)


class Effort:
    """Looks at the processor time of a job's processes each time that its results are counted."""

    def __init__(self, job: RunningJob, counted: Callable[[], int]) -> None:
        self._job = job
        self._counted = counted
        self._looks: list[tuple[int, float]] = []

    def count(self) -> int:
        """How many results there are."""
        processor_s = self._job.processor_s()
        found = self._counted()
        self._looks.append((found, processor_s))
        return found

    def processor_us(self) -> float | None:
        """Microseconds a record between the first look with results and the last one before the end.

        None where the job was done between two looks.
        """
        looks = [look for look in self._looks if look[0]][:-1]
        if len(looks) < 2 or looks[-1][0] == looks[0][0]:
            return None
        return 1e6 * (looks[-1][1] - looks[0][1]) / (looks[-1][0] - looks[0][0])


def _figures(appended: Appended, length: int, begin: int, load: float, effort: Effort) -> dict[str, Any]:
    times = appended.times
    if len(times) != length:
        raise BenchError(f"{len(times)} results for {length} records")
    return {
        "rate": round(rate(times), 1),
        "middle_rate": round(middle_rate(times), 1),
        "seconds": (int(times.max()) - int(times.min())) / 1000,
        "first_after_s": (int(times.min()) - begin) / 1000,
        "processor_us": effort.processor_us(),
        "load_before": load,
    }


def _said(figures: dict[str, Any]) -> str:
    rates = f"{figures['rate']:,.0f}/s, middle {figures['middle_rate']:,.0f}/s"
    taken = figures["processor_us"]
    return rates if taken is None else f"{rates}, {taken:.2f} µs of processor time a record"


def _load() -> float:
    """Waits a moment, then returns the machine's load average over the last minute."""
    time.sleep(2)
    return round(os.getloadavg()[0], 2)


def _title(key: dict[str, str | int]) -> str:
    return " ".join(str(value) for value in key.values())


def show(session: Session, cases: Sequence[Case], title: str) -> None:
    """Prints a table of min / median / max, and the ratio of ours to the other system's, of the medians."""
    other = "compared" if any("compared" in case.rounds for case in cases) else "peer"
    table = Table("case", "ours", "middle 80 %", other, "middle 80 %", "ratio", "ratio middle", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for case in cases:
        cells = []
        for system in ("ours", other):
            for figure in ("rate", "middle_rate"):
                values = case.values(system, figure)
                cells.append(" / ".join(f"{value / 1000:.1f}" for value in _three(values)) if values else "")
        ratios = []
        for figure in ("rate", "middle_rate"):
            ours, others = case.values("ours", figure), case.values(other, figure)
            ratios.append(f"{spread(ours).median / spread(others).median:.2f}" if ours and others else "")
        table.add_row(_title(case.key), *cells, *ratios)
    session.console.print(table)
    session.say("thousands a second, min / median / max of the rounds")


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    of = spread(values)
    return of.minimum, of.median, of.maximum
