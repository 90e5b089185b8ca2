"""Measures the memory, threads, open files and temporary files of a job's processes, and their growth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.figures import drift
from bench.processor_time import process_label
from tests.faults.kills import marked

__all__ = ["Footprint", "Growth", "at_rest", "growth", "report"]

_MIB = 2**20
_MOST_STATE_KIB = 1024
_LOOKS = 8
_LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Footprint:
    """The sums over all processes of a job; ``processes`` and ``rss_of`` are by the name of the process.

    RSS counts shared pages once for each process, USS counts only the pages that belong to one process alone.
    """

    swaps: int
    rss_mib: float
    uss_mib: float
    threads: int
    descriptors: int
    processes: Counter[str]
    temporary: int
    rss_of: Mapping[str, float]
    state_kib: float = 0.0
    """The size of a checkpoint, which is known only at rest."""

    @classmethod
    def of(cls, mark: str, temporary: Path, swaps: int) -> Footprint:
        """Measures the processes with this mark; ``temporary`` is the folder of their temporary files.

        The forks of trials are left out, because they share their memory with their parents.
        """
        rss = uss = threads = descriptors = 0
        processes: Counter[str] = Counter()
        rss_of: Counter[str] = Counter()
        for process in marked(mark):
            try:
                parent = process.parent()
                if parent is not None and parent.cmdline() == process.cmdline():
                    continue
                memory = process.memory_full_info()
                label = process_label(process.cmdline(), process.name())
                threads += process.num_threads()
                descriptors += process.num_fds()
            except psutil.Error:
                continue
            rss, uss = rss + memory.rss, uss + memory.uss
            processes[label] += 1
            rss_of[label] += memory.rss
        return cls(
            swaps,
            rss / _MIB,
            uss / _MIB,
            threads,
            descriptors,
            processes,
            sum(1 for _ in temporary.iterdir()),
            {label: amount / _MIB for label, amount in rss_of.items()},
        )

    def __str__(self) -> str:
        return (
            f"RSS {self.rss_mib:,.0f} MiB, USS {self.uss_mib:,.0f} MiB, {self.threads} threads, "
            f"{self.descriptors} open files, {self.processes.total()} processes"
        )


def at_rest(mark: str, temporary: Path, swaps: int, state_bytes: int) -> Footprint:
    """Returns the least of several measurements within two seconds, without short-lived peaks."""
    looks = []
    for _ in range(_LOOKS):
        looks.append(Footprint.of(mark, temporary, swaps))
        time.sleep(_LOOK_EVERY_S)
    last = looks[-1]
    return Footprint(
        swaps,
        last.rss_mib,
        last.uss_mib,
        min(look.threads for look in looks),
        min(look.descriptors for look in looks),
        min((look.processes for look in looks), key=Counter.total),
        min(look.temporary for look in looks),
        last.rss_of,
        state_bytes / 1024,
    )


@dataclass(frozen=True, slots=True)
class Growth:
    """A job's footprint at two moments of rest, and the least-squares trend of its memory between them.

    The trend is MiB from the first sample to the last one. There is no trend of the USS, because it falls
    whenever the fork of a trial shares its parent's pages.
    """

    before: Footprint
    after: Footprint
    rss_trend_mib: float

    def complaints(self, *, trend_percent: float, slack: int) -> list[str]:
        """Returns what has grown: memory by more than ``trend_percent``, a count by more than ``slack``."""
        before, after = self.before, self.after
        said = [
            f"{name} rises by {rise:.0f} MiB from {start:.0f} MiB"
            for name, rise, start in (
                ("resident memory (RSS)", self.rss_trend_mib, before.rss_mib),
                ("resident memory (RSS) at rest", after.rss_mib - before.rss_mib, before.rss_mib),
                ("memory of its own (USS) at rest", after.uss_mib - before.uss_mib, before.uss_mib),
            )
            if rise > start * trend_percent / 100
        ]
        said += [
            f"{name}: {now} instead of {then}"
            for name, then, now in (
                ("threads", before.threads, after.threads),
                ("open files", before.descriptors, after.descriptors),
            )
            if now > then + slack
        ]
        # The models that are kept at the end differ, and so do their sizes.
        if after.state_kib > 2 * before.state_kib + _MOST_STATE_KIB:
            said.append(f"state: {after.state_kib:,.0f} KiB instead of {before.state_kib:,.0f}")
        if more := after.processes - before.processes:
            said.append(f"processes more than before: {dict(more)}")
        if after.temporary > before.temporary:
            said.append(f"temporary files and folders: {after.temporary} instead of {before.temporary}")
        return said


def growth(before: Footprint, between: Sequence[Footprint], after: Footprint) -> Growth:
    """Compares two moments of rest; ``between`` are two samples at least."""
    rss = drift([sample.swaps for sample in between], [sample.rss_mib for sample in between])
    return Growth(before, after, rss.trend * rss.mean / 100)


def report(found: Growth) -> str:
    """Returns a table of a job's footprint after the first swaps and in the end."""
    before, after = found.before, found.after
    rows = [
        ("swaps", before.swaps, after.swaps, ""),
        ("RSS, MiB", round(before.rss_mib), round(after.rss_mib), f"{found.rss_trend_mib:+.0f} MiB"),
        ("USS, MiB", round(before.uss_mib), round(after.uss_mib), ""),
        *(
            (f"RSS of {label}", round(amount), round(after.rss_of.get(label, 0)), "")
            for label, amount in before.rss_of.items()
        ),
        ("threads", before.threads, after.threads, ""),
        ("open files", before.descriptors, after.descriptors, ""),
        ("processes", before.processes.total(), after.processes.total(), ""),
        ("temporary files", before.temporary, after.temporary, ""),
        ("state, KiB", round(before.state_kib), round(after.state_kib), ""),
    ]
    return "\n".join(
        f"{name:<28}{then:>10}{now:>10}  {trend}"
        for name, then, now, trend in [("", "then", "now", "trend"), *rows]
    )
