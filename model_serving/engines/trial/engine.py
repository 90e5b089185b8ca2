"""Tries a model in another process first, so that a model that ends its process does not end this one.

TensorFlow and ONNX Runtime are native code inside this process, which in thread mode is the TaskManager.
A few bytes of a graph can fail one of TensorFlow's own checks, which ends the process. The job would then
restart, read the same model again, and so on for ever. So a model of native code is first loaded and scored
in a child process, with the limits of time and memory that only a process can have. It is loaded here only
when that trial succeeded.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from model_serving.core.errors import ModelRejected, Unavailable
from model_serving.engines.foreign_errors import rejecting
from model_serving.engines.limits import Limits
from model_serving.engines.registry import spec_of
from model_serving.engines.trial.process import LENGTH, Request, import_library

if TYPE_CHECKING:
    from model_serving.core.engine import Engine, LoadedModel, RecordSchema
    from model_serving.core.messages import ModelToServe

__all__ = ["TriedEngine", "stop_trials"]

_START_SECONDS = 120.0
"""Added to the trial's own time: on a busy machine the process has to start and import TensorFlow."""

_ADVICE = "without trials the job starts with --trial-timeout-s 0"


class _TrialLostError(Exception):
    """The process that runs the trials does not start, or has ended."""


class TriedEngine:
    """An engine that tries each model of native code in another process before it loads the model.

    Which formats are native code is in the registry.
    """

    def __init__(self, engine: Engine, limits: Limits, seconds: float, memory_bytes: int) -> None:
        """``seconds`` and ``memory_bytes`` are what loading and scoring a few rows may take."""
        self._engine = engine
        self._limits = limits
        self._seconds = seconds
        self._memory_bytes = memory_bytes

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``.

        Raises:
            ModelRejected: also when the model ends the process that tries it, or exceeds a limit there.
            Unavailable: the process that runs the trials does not start.
        """
        if spec_of(model.model_type).native:
            with rejecting("the model cannot be tried out"):
                _try(Request(model, schema, self._limits, self._seconds, self._memory_bytes))
        return self._engine.load(model, schema)


def stop_trials() -> None:
    """Ends the process that runs the trials, if there is one. The next trial starts another one."""
    global _process
    process, _process = _process, None
    if process is not None:
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        process.wait()


def _try(request: Request) -> None:
    with _lock:
        try:
            try:
                answer = _ask(request)
            except _TrialLostError:
                # The process may have ended just now, because it was idle for too long.
                answer = _ask(request)
        except _TrialLostError as error:
            raise Unavailable(f"the model cannot be tried out: {error}; {_ADVICE}") from error
        except BaseException:
            stop_trials()
            raise
    if "rejected" in answer:
        raise ModelRejected(str(answer["rejected"]))
    if "died" in answer:
        raise ModelRejected(
            f"tried out in a separate process, the model {answer['died']}: export it again, or raise "
            "--trial-timeout-s or --trial-memory-limit if it needs more"
        )


def _ask(request: Request) -> dict[str, str]:
    process = _running()
    message = pickle.dumps(request)
    try:
        process.stdin.write(LENGTH.pack(len(message)))  # type: ignore[union-attr]
        process.stdin.write(message)  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        # Both processes need the library, so both import it at the same time.
        import_library(request.model.model_type)
        answer = _answer(process, time.monotonic() + _START_SECONDS + request.seconds)
        found: dict[str, str] = json.loads(answer)
    except (OSError, EOFError, ValueError) as error:
        stop_trials()
        raise _TrialLostError(f"the process for it ended ({error})") from error
    return found


def _answer(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    stream = process.stdout.fileno()  # type: ignore[union-attr]
    received = b""
    wanted = LENGTH.size
    while len(received) < wanted:
        if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise EOFError("it does not answer")
        part = os.read(stream, 65536)
        if not part:
            raise EOFError("no answer")
        received += part
        if len(received) >= LENGTH.size:
            wanted = LENGTH.size + LENGTH.unpack(received[: LENGTH.size])[0]
    return received[LENGTH.size :]


def _running() -> subprocess.Popen[bytes]:
    global _process  # noqa: PLW0603
    if _process is not None and _process.poll() is not None:
        stop_trials()
    if _process is None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        try:
            _process = subprocess.Popen(
                [_interpreter(), "-m", "model_serving.engines.trial.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                process_group=0,  # Ctrl-C in a terminal must reach only the job
            )
        except OSError as error:
            raise _TrialLostError(f"'{error.filename}' does not start ({error.strerror})") from error
    return _process


def _interpreter() -> str:
    """Returns the path of the Python program. It is searched for: in thread mode, Python runs in a JVM."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    beside = [Path(path).parents[2] / "bin" / name for path in sys.path if path.endswith("site-packages")]
    candidates = [*beside, Path(sys.prefix, "bin", name), Path(sys.base_prefix, "bin", name)]
    if Path(sys.executable or "").name.startswith("python"):
        candidates.insert(0, Path(sys.executable))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return str(candidate)
    raise _TrialLostError(f"no {name} was found beside this Python's packages")


def _forget_after_fork() -> None:
    global _process, _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _process = None


_lock = threading.Lock()
_process: subprocess.Popen[bytes] | None = None
atexit.register(stop_trials)
os.register_at_fork(after_in_child=_forget_after_fork)
