"""Measures the processor time of processes and their threads, as the kernel counts it (Linux).

A thread that ends between two samples keeps the time that it had at the earlier sample.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Meter", "Thread", "full_java_names", "parse_stat", "process_label", "taken_s", "tree"]

_TICKS = os.sysconf("SC_CLK_TCK")
_JAVA_THREAD = re.compile(r'^"(?P<name>.+)" .*?\bnid=(?P<id>0x[0-9a-f]+|\d+)', re.MULTILINE)
_OPTIONS_WITH_VALUE = {"-cp", "-classpath", "--class-path", "--module-path", "-p"}
_ATTACH_S = 20.0


@dataclass(slots=True)
class Thread:
    """A thread's processor time within the measured interval, seconds."""

    process: int
    id: int
    name: str
    user_s: float = 0.0
    system_s: float = 0.0

    @property
    def total_s(self) -> float:
        """User and system time, seconds."""
        return self.user_s + self.system_s


def parse_stat(line: str) -> tuple[str, float, float]:
    """Returns name, user seconds and system seconds from a line of ``/proc/PID/task/TID/stat``.

    The name is in brackets and may itself have brackets and spaces (proc(5)).
    """
    name, _, rest = line.partition("(")[2].rpartition(")")
    values = rest.split()
    return name, int(values[11]) / _TICKS, int(values[12]) / _TICKS


def process_label(command: list[str], name: str) -> str:
    """Returns a process's name for a table: a JVM's main class, a Python program's script or module."""
    program = Path(command[0]).name if command else name
    if program == "java":
        return f"java {_main_class(command)}"
    if program.startswith("python"):
        words = [word for word in command[1:] if word not in {"-I", "-u", "-E", "-s"}]
        if words and words[0] == "-m":
            return f"python -m {' '.join(words[1:2])}"
        return f"python {Path(words[0]).name}" if words and words[0] != "-c" else "python"
    return program


def _main_class(command: list[str]) -> str:
    words = iter(command[1:])
    for word in words:
        if word in _OPTIONS_WITH_VALUE:
            next(words, None)
        elif word == "-jar":
            return Path(next(words, "")).name
        elif not word.startswith("-"):
            return word.rpartition(".")[2]
    return ""


def tree(roots: Iterable[int]) -> dict[int, psutil.Process]:
    """Returns the running processes with these ids, and all running processes below them."""
    found: dict[int, psutil.Process] = {}
    for root in roots:
        try:
            process = psutil.Process(root)
            members = [process, *process.children(recursive=True)]
        except psutil.Error:
            continue
        found.update({member.pid: member for member in members})
    return found


def taken_s(processes: Iterable[psutil.Process]) -> float:
    """Returns the processor seconds that the processes which still run have taken since they began."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:2])
    return total


class Meter:
    """Counts the processor time of process trees from the first `sample` to the last."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = tuple(roots)
        self._started: dict[tuple[int, int], tuple[float, float]] = {}
        self._known: set[int] = set()
        self.threads: dict[tuple[int, int], Thread] = {}
        self.labels: dict[int, str] = {}

    def sample(self) -> bool:
        """Reads the counters. Returns False when all the processes have ended.

        A process or thread that did not exist at the first sample is counted from its beginning.
        """
        first = not self._known
        members = tree(self._roots)
        for pid, process in members.items():
            self._label(pid, process)
            for thread, name, user_s, system_s in _threads(pid):
                key = (pid, thread)
                begin = self._started.setdefault(key, (user_s, system_s) if first else (0.0, 0.0))
                entry = self.threads.setdefault(key, Thread(pid, thread, name))
                entry.name = name
                entry.user_s, entry.system_s = user_s - begin[0], system_s - begin[1]
        self._known |= set(members)
        return bool(members)

    def name_java_threads(self) -> None:
        """Gives the threads of JVMs their full names, if the JVM has ``jcmd``."""
        for pid, label in self.labels.items():
            if label.startswith("java"):
                for thread, name in full_java_names(pid).items():
                    if (entry := self.threads.get((pid, thread))) is not None:
                        entry.name = name

    def _label(self, pid: int, process: psutil.Process) -> None:
        # The label is read each time, because a shell may have become Java since the last sample.
        try:
            self.labels[pid] = process_label(process.cmdline(), process.name())
        except psutil.Error:
            self.labels.setdefault(pid, "?")


def _threads(pid: int) -> Iterator[tuple[int, str, float, float]]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            yield (int(task.name), *parse_stat((task / "stat").read_text(errors="replace")))
        except (OSError, IndexError, ValueError):
            continue


def full_java_names(pid: int) -> dict[int, str]:
    """Returns the JVM's name of each thread id. The kernel keeps 15 characters. Empty without ``jcmd``."""
    try:
        beside = Path(f"/proc/{pid}/exe").resolve(strict=True).with_name("jcmd")
        program = str(beside) if beside.exists() else shutil.which("jcmd")
        if program is None:
            return {}
        answer = subprocess.run(
            [program, str(pid), "Thread.print"], capture_output=True, text=True, timeout=_ATTACH_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {int(found["id"], 0): found["name"] for found in _JAVA_THREAD.finditer(answer.stdout)}
