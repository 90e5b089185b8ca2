"""A guarded command always ends with the process that started it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from model_serving.runtime import guard
from model_serving.runtime.guard import Guarded
from tests.patience import Patience

SLEEPER = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text('up'); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


def wait_until(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    wait = Patience(deadline_s)
    while not condition():
        assert not wait.is_over, "the condition did not come true in time"
        time.sleep(0.02)


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("program", [SLEEPER, STUBBORN])
def test_stop_ends_the_command_and_removes_the_folder(tmp_path: Path, program: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with (tmp_path / "log").open("wb") as log:
        guarded = Guarded(
            [sys.executable, "-c", program, str(folder / "up")], grace_s=0.5, output=log, remove=folder
        )
        try:
            wait_until((folder / "up").exists)
            (child,) = psutil.Process(guarded.pid).children()
            assert guarded.exit_status is None
        finally:
            guarded.stop()
    assert is_gone(child)
    assert not folder.exists()
    guarded.stop()


def test_a_command_that_ends_by_itself_gives_its_status_and_leaves_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    log = tmp_path / "log"
    with log.open("wb") as output:
        guarded = Guarded(
            [sys.executable, "-c", "import sys; print('said'); sys.exit(7)"],
            grace_s=1,
            output=output,
            remove=folder,
        )
        try:
            wait_until(lambda: guarded.exit_status is not None)
        finally:
            guarded.stop()
    assert guarded.exit_status == 7
    assert folder.exists()
    assert log.read_text() == "said\n"


@pytest.mark.parametrize("victim", ["holder", "guard"])
def test_kill_9_of_the_holder_or_the_guard_leaves_no_process(tmp_path: Path, victim: str) -> None:
    up = tmp_path / "up"
    holder_program = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from model_serving.runtime.guard import Guarded\n"
        "held = Guarded([sys.executable, '-c', sys.argv[2], sys.argv[3]], grace_s=1,\n"
        "    output=sys.stdout.buffer)\n"
        "time.sleep(600)"
    )
    root = str(Path(guard.__file__).parents[2])
    holder = subprocess.Popen([sys.executable, "-c", holder_program, root, SLEEPER, str(up)])
    family: list[psutil.Process] = []
    try:
        wait_until(up.exists)
        family = psutil.Process(holder.pid).children(recursive=True)
        assert len(family) == 2
        psutil.Process(holder.pid if victim == "holder" else family[0].pid).send_signal(signal.SIGKILL)
        wait_until(lambda: all(is_gone(process) for process in family))
    finally:
        for pid in [holder.pid, *(process.pid for process in family)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        holder.wait()
