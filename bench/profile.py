"""``python -m bench profile``: measures processor time by thread, in an interval or while a command runs.

JVM threads have names, so the table has separate rows for the source, the operators (Python runs in them in
thread mode), the sink's network thread, the compilers (C1, C2) and the garbage collector.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from bench.processor_time import Meter, Thread

__all__ = ["add_arguments", "group_of", "grouped", "run"]

_STEP_S = 0.2
_NUMBERS = re.compile(r"\d+")
_KINDS = (
    ("compilers (JIT)", re.compile(r"C[12] Compiler")),
    ("garbage collector", re.compile(r"GC Thread|G1 |VM Periodic|VM Thread|ZWorker|Shenandoah")),
    ("source: fetching", re.compile(r"Source Data Fetcher|SourceFetcher")),
    ("sink: network", re.compile(r"kafka-producer-network")),
    ("checkpoints", re.compile(r"[Cc]heckpoint|AsyncOperations|jobmanager-io")),
    ("Kafka broker: network", re.compile(r"data-plane-kafka-net|kafka-network-th")),
    ("Kafka broker: requests", re.compile(r"data-plane-kafka-req|kafka-request-ha")),
)


def group_of(label: str, thread: str) -> str:
    """Returns a thread's purpose: the broker, a compiler, a collector, ... or its name without numbers."""
    for kind, names in _KINDS:
        if names.search(thread):
            return kind
    return _NUMBERS.sub("n", thread) if label.startswith("java") else thread


def grouped(threads: Iterable[Thread], labels: Mapping[int, str]) -> dict[tuple[str, str], Thread]:
    """Returns sums over equal (process, purpose), greatest first. A sum has its first thread's process."""
    sums: dict[tuple[str, str], list[Thread]] = defaultdict(list)
    for thread in threads:
        label = labels.get(thread.process, "?")
        sums[f"{label} [{thread.process}]", group_of(label, thread.name)].append(thread)
    merged = {
        key: Thread(
            members[0].process,
            members[0].id,
            key[1],
            sum(member.user_s for member in members),
            sum(member.system_s for member in members),
        )
        for key, members in sums.items()
    }
    return dict(sorted(merged.items(), key=lambda item: -item[1].total_s))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``profile``."""
    parser.add_argument(
        "pids", nargs="*", type=int, metavar="PID", help="process ids, measured with all processes below them"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds to measure without --while (10)")
    parser.add_argument("--after", type=float, default=0.0, metavar="S", help="seconds to wait before (0)")
    parser.add_argument("--rows", type=int, default=30, help="rows of the table (30)")
    parser.add_argument("--threads", action="store_true", help="a row for each thread, with its own name")
    parser.add_argument(
        "--while",
        dest="command",
        nargs=argparse.REMAINDER,
        metavar="CMD",
        help="measure until this command ends, and the command too (must be the last flag)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measures and prints. Returns the exit status of the command after ``--while``, else 0."""
    if not arguments.pids and not arguments.command:
        print("profile: name process ids, or a command after --while")
        return 2
    child = subprocess.Popen(arguments.command) if arguments.command else None
    try:
        meter = Meter([*arguments.pids, *([child.pid] if child else [])])
        elapsed_s = _measure(meter, child, arguments.after, arguments.seconds)
    finally:
        if child is not None and child.poll() is None:
            child.terminate()
            child.wait()
    _show(meter, elapsed_s, arguments.rows, each=arguments.threads)
    return child.returncode if child else 0


def _measure(meter: Meter, child: subprocess.Popen[bytes] | None, after_s: float, seconds: float) -> float:
    time.sleep(after_s)
    begin = time.monotonic()
    meter.sample()
    named = 0
    while True:
        left_s = seconds - (time.monotonic() - begin)
        if (child is None and left_s <= 0) or (child is not None and child.poll() is not None):
            break
        time.sleep(min(_STEP_S, left_s) if child is None else _STEP_S)
        if not meter.sample():
            break
        # A JVM's names are lost when it ends, but reading them pauses it: so every 20 s, and at the end.
        if child is not None and time.monotonic() - begin > 20 * (named + 1):
            meter.name_java_threads()
            named += 1
    elapsed_s = time.monotonic() - begin
    meter.name_java_threads()
    return elapsed_s


def _show(meter: Meter, elapsed_s: float, rows: int, *, each: bool) -> None:
    threads = [thread for thread in meter.threads.values() if thread.total_s > 0]
    total_s = sum(thread.total_s for thread in threads)
    title = f"{total_s:.2f} s of processor time in {elapsed_s:.1f} s ({os.cpu_count()} cores)"
    table = Table("process", "thread", "s", "%", "% of a core", "system s", title=title)
    for column in table.columns[2:]:
        column.justify = "right"
    if each:
        lines = [
            (f"{meter.labels.get(thread.process, '?')} [{thread.process}]", thread.name, thread)
            for thread in sorted(threads, key=lambda thread: -thread.total_s)
        ]
    else:
        lines = [(*key, thread) for key, thread in grouped(threads, meter.labels).items()]
    for process, name, thread in lines[:rows]:
        share = thread.total_s / total_s if total_s else 0.0
        table.add_row(
            process,
            name,
            f"{thread.total_s:.2f}",
            f"{100 * share:.1f}",
            f"{100 * thread.total_s / elapsed_s:.0f}",
            f"{thread.system_s:.2f}",
        )
    Console().print(table)
