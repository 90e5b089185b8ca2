"""Finds the processes of a run by its mark, and kills them with SIGKILL. It kills no other processes."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import psutil

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.jobs import MARK, eventually

__all__ = ["broker_process", "kill_now", "marked", "worker_processes"]


def marked(mark: str) -> list[psutil.Process]:
    """Returns every process with this mark in its environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def worker_processes(mark: str) -> list[psutil.Process]:
    """Returns the Python processes that run a job's operators (``pyflink.fn_execution.beam.beam_boot``)."""
    return [process for process in marked(mark) if _is_worker(process)]


def broker_process(broker: EmbeddedBroker) -> psutil.Process:
    """Returns Kafka's process, the only child of its guard."""
    assert broker.pid is not None
    (kafka,) = psutil.Process(broker.pid).children()
    return kafka


def kill_now(*processes: psutil.Process) -> None:
    """Sends SIGKILL to all the processes, then waits until they have ended."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    eventually(
        lambda: not any(map(_runs, processes)),
        lambda: f"still there: {[process.pid for process in processes if _runs(process)]}",
        within_s=20,
        step_s=0.01,
    )


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_worker(process: psutil.Process) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return (
        bool(command) and "python" in Path(command[0]).name and any("fn_execution" in one for one in command)
    )
