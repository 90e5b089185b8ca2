"""Processor time of processes and their threads, as the kernel counts it (Linux).

Threads that end between two samples keep the time that they had at the last sample before.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Meter", "Thread", "full_java_names", "parse_stat", "process_label", "tree"]

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
        return self.user_s + self.system_s


def parse_stat(line: str) -> tuple[str, float, float]:
    """Name, user seconds and system seconds from a line of ``/proc/PID/task/TID/stat``.

    The name stands in brackets and may itself hold brackets and spaces (proc(5)).
    """
    name, _, rest = line.partition("(")[2].rpartition(")")
    values = rest.split()
    return name, int(values[11]) / _TICKS, int(values[12]) / _TICKS


def process_label(command: list[str], name: str) -> str:
    """What a process is called in a table: a JVM's main class, a Python program's script or module."""
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
    """The processes with these ids and all below them, those that live."""
    found: dict[int, psutil.Process] = {}
    for root in roots:
        try:
            process = psutil.Process(root)
            members = [process, *process.children(recursive=True)]
        except psutil.Error:
            continue
        found.update({member.pid: member for member in members})
    return found


class Meter:
    """Counts the processor time of process trees from the first `sample` to the last."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = tuple(roots)
        self._started: dict[tuple[int, int], tuple[float, float]] = {}
        self._known: set[int] = set()
        self.threads: dict[tuple[int, int], Thread] = {}
        self.labels: dict[int, str] = {}

    def sample(self) -> bool:
        """Reads the counters; False when none of the processes lives any more.

        A process that was not there at the first sample counts from its beginning, and so does a new thread.
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
        """Gives the threads of JVMs their full names, where the JVM comes with ``jcmd``."""
        for pid, label in self.labels.items():
            if label.startswith("java"):
                for thread, name in full_java_names(pid).items():
                    if (entry := self.threads.get((pid, thread))) is not None:
                        entry.name = name

    def _label(self, pid: int, process: psutil.Process) -> None:
        # Asked each time: a shell that was sampled may have become Java since.
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
    """Thread id → name as the JVM knows it: the kernel keeps 15 characters of it. Empty without ``jcmd``."""
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
