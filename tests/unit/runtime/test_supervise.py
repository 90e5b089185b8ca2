from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from model_serving.runtime.supervise import TraceFilter
from tests.patience import Patience

RULE = b"------------------------------------------------------------\n"
ABORT = b"org.apache.flink.client.program.ProgramAbortException: x\n"
INTRODUCTION = b" The program finished with the following exception:\n"

# A small model of `flink run`: "java" starts the driver with the gateway's port in its environment, waits for
# it, and ends with its status. Another process beside them would outlive them all.
JAVA = """
import os, subprocess, sys
subprocess.Popen(["sleep", "600"])
environment = {**os.environ, "PYFLINK_GATEWAY_PORT": "1"}
driver = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment)
sys.exit(driver.wait())
"""
OBEDIENT = """
import signal, threading
stop = threading.Event()
def cancel(number, frame):
    print("cancelled by", signal.Signals(number).name, flush=True)
    stop.set()
signal.signal(signal.SIGINT, cancel)
signal.signal(signal.SIGTERM, cancel)
print("up", flush=True)
while not stop.wait(0.05):
    pass
"""
DEAF = """
import signal, threading
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
threading.Event().wait()
"""
COMMAND = """
import os, sys
from model_serving.runtime.supervise import run_supervised
command = [sys.executable, "-c", *sys.argv[1:]]
sys.exit(run_supervised(command, os.environ, drop_abort_trace=True, grace_s=0.5, terminate_s=0.5))
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Gives a list for supervisors that a test starts. They and their children are always killed."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            for below in psutil.Process(process.pid).children(recursive=True):
                below.kill()
            process.kill()
        process.communicate()


def supervise(started: list[subprocess.Popen[str]], *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    started.append(process)
    return process


def wait_until_up(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Waits for the driver's first line, and returns all processes below the supervisor."""
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) == 3
    return below


def still_alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Returns the processes that still run after ten seconds, without zombies. Returns early if none runs."""
    wait = Patience(10)
    while (alive := [process for process in processes if _runs(process)]) and not wait.is_over:
        time.sleep(0.02)
    return alive


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_driver_end_its_job_and_leaves_nothing(
    number: signal.Signals, started: list[subprocess.Popen[str]]
) -> None:
    process = supervise(started, JAVA, OBEDIENT)
    below = wait_until_up(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, f"cancelled by {number.name}\n", "")
    assert still_alive(below) == []


def test_a_driver_that_does_not_listen_is_killed_after_the_grace(
    started: list[subprocess.Popen[str]],
) -> None:
    process = supervise(started, JAVA, DEAF)
    below = wait_until_up(process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert still_alive(below) == []


def test_a_signal_before_there_is_a_driver_ends_all(started: list[subprocess.Popen[str]]) -> None:
    process = supervise(started, "import time; print('up', flush=True); time.sleep(600)")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGINT
    assert still_alive(below) == []


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's end"
)
def test_nothing_outlives_a_killed_supervisor_for_long(started: list[subprocess.Popen[str]]) -> None:
    process = supervise(started, "import time; print('up', flush=True); time.sleep(600)")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    assert still_alive(below) == []


@pytest.mark.parametrize("status", [0, 1, 31])
def test_the_status_is_the_commands(status: int, started: list[subprocess.Popen[str]]) -> None:
    process = supervise(
        started, f"import sys; print('out'); print('err', file=sys.stderr); sys.exit({status})"
    )
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (status, "out\n", "err\n")


def test_a_death_by_signal_is_told_as_a_shell_tells_it(started: list[subprocess.Popen[str]]) -> None:
    process = supervise(started, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGKILL


def test_flinks_trace_after_the_scripts_own_line_is_dropped(started: list[subprocess.Popen[str]]) -> None:
    lines = [
        b"the job failed: because\n",
        b"\n",
        RULE,
        INTRODUCTION,
        b"\n",
        ABORT,
        b"\tat y\n",
        b"Caused by: z\n",
    ]
    says = f"import sys; sys.stderr.buffer.write({b''.join(lines)!r})"
    _, err = supervise(started, says).communicate(timeout=20)
    assert err == "the job failed: because\n\n"


def feed(*lines: bytes) -> list[bytes]:
    trace = TraceFilter()
    shown = [line for given in lines for line in trace.feed(given)]
    return shown + trace.flush()


@pytest.mark.parametrize(
    "lines",
    [
        (b"a\n", b"\n", b"b\n"),
        (RULE, b"text\n", RULE),
        (
            RULE,
            INTRODUCTION,
            b"\n",
            b"org.apache.flink.client.program.ProgramInvocationException: other\n",
            b"\tat y\n",
        ),
        (b"a\n", RULE),
        (RULE, b"\n", b"no end of line"),
    ],
)
def test_everything_else_is_shown_as_it_came(lines: tuple[bytes, ...]) -> None:
    assert feed(*lines) == list(lines)
