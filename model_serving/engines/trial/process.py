"""The process that runs trials: it tries a model before the serving process loads the model.

``python -m model_serving.engines.trial.process`` reads requests from standard input and answers on standard
output, see :mod:`model_serving.engines.trial.engine`. It never loads a model itself: it imports the model's
library once, and forks a child for each model. So each trial starts in milliseconds, and a model can harm
only its own child.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model_serving.core.engine import first_row_of, row_of
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType
from model_serving.engines.foreign_errors import first_line, typed_line
from model_serving.engines.limits import Limits
from model_serving.engines.registry import engine_for, spec_of
from model_serving.engines.tensorflow.session import import_tensorflow

if TYPE_CHECKING:
    from model_serving.core.engine import RecordSchema
    from model_serving.core.messages import ModelToServe

__all__ = ["IDLE_SECONDS", "LENGTH", "Request", "import_library", "main"]

LENGTH = struct.Struct(">Q")
"""The length of a message in bytes, written before each message."""

IDLE_SECONDS = 300.0
"""The process ends after this time without a request: with TensorFlow loaded, it takes 400 MB."""

_NUMBERS = (1.0, -1e300, 1e300)
"""What the records of a trial hold besides those that a model is scored with first."""

_LONGEST_TALE = 65536
_NO_MEMORY = re.compile(r"OOM when allocating|[Aa]llocat\w+ (?:of )?memory|bad_alloc|MemoryError")
"""The error texts of TensorFlow, ONNX Runtime and numpy when they get no memory; the type does not tell."""

_DIED = "died"


@dataclass(frozen=True, slots=True)
class Request:
    """A model to try. ``seconds`` and ``memory_bytes`` are what the trial may take beyond the library."""

    model: ModelToServe
    schema: RecordSchema
    limits: Limits
    seconds: float
    memory_bytes: int


def main() -> None:
    """Answers requests until standard input ends, or until no request comes for ``IDLE_SECONDS``."""
    requests, answers = os.dup(0), os.dup(1)
    # A library that prints must not write into the answers.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    with os.fdopen(requests, "rb", buffering=0) as source, os.fdopen(answers, "wb") as sink:
        while select.select([source], [], [], IDLE_SECONDS)[0] and (message := _read(source)):
            request: Request = pickle.loads(message)  # noqa: S301 - from the process that started this one
            answer = json.dumps(_try(request, source)).encode()
            sink.write(LENGTH.pack(len(answer)) + answer)
            sink.flush()


def import_library(model_type: ModelType) -> None:
    """Imports the library for models of this type. The first import of TensorFlow takes some seconds."""
    # A broken installation is reported where the engine itself imports the library.
    with suppress(Exception):
        libraries = spec_of(model_type).libraries
        if "tensorflow" in libraries:
            # With what this project sets before its first import.
            import_tensorflow()
        for library in libraries:
            import_module(library)


def _read(source: Any) -> bytes:
    head = _exactly(source, LENGTH.size)
    return _exactly(source, LENGTH.unpack(head)[0]) if head else b""


def _exactly(source: Any, count: int) -> bytes:
    parts: list[bytes] = []
    while count and (part := source.read(min(count, 1 << 20))):
        parts.append(part)
        count -= len(part)
    return b"" if count else b"".join(parts)


def _try(request: Request, source: Any) -> dict[str, str]:
    """Returns ``{}`` for a model that may be loaded, else the reason under ``rejected`` or ``died``."""
    import_library(request.model.model_type)
    folder = tempfile.mkdtemp(prefix="model-trial-")
    tale = Path(folder, "stderr")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_tried(request, folder, tale, writer)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as heard:
            return _outcome(request, child, heard, source, tale)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)


def _outcome(request: Request, child: int, heard: Any, source: Any, tale: Path) -> dict[str, str]:
    deadline = time.monotonic() + request.seconds
    said = b""
    while True:
        left = deadline - time.monotonic()
        ready, _, _ = select.select([heard, source], [], [], max(left, 0))
        if source in ready:
            # No second request comes before the answer, so the process that asked has ended.
            raise SystemExit
        if heard not in ready:
            return {_DIED: f"is not done after {request.seconds:g} s"}
        part = os.read(heard.fileno(), _LONGEST_TALE)
        if not part:
            break
        said += part
    _, status = os.waitpid(child, 0)
    if said and status == 0:
        answer: dict[str, str] = json.loads(said)
        return answer
    last = _last_words(tale)
    if os.WIFSIGNALED(status):
        ended = os.WTERMSIG(status)
        if ended == signal.SIGXCPU:
            return {_DIED: f"is not done after {request.seconds:g} s"}
        return {_DIED: f"ends the process with {signal.Signals(ended).name}{last}"}
    return {_DIED: f"ends the process with status {os.waitstatus_to_exitcode(status)}{last}"}


def _be_tried(request: Request, folder: str, tale: Path, writer: int) -> None:
    """Runs in the child: loads the model, scores with it, reports the outcome, and ends the child."""
    status = 1
    try:
        os.setpgid(0, 0)
        # The parent deletes this folder, also when the child is killed.
        tempfile.tempdir = folder
        errors = os.open(tale, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(errors, 2)
        _limit(request)
        try:
            answer = _load_and_score(request)
        except ModelRejected as error:
            answer = {"rejected": str(error)}
        except MemoryError:
            answer = {_DIED: f"needs more than {request.memory_bytes:,} bytes of memory"}
        except Exception as error:  # noqa: BLE001 - whatever a model makes its library raise
            answer = {_DIED: f"raises {typed_line(error)}"}
        os.write(writer, json.dumps(answer).encode())
        status = 0
    finally:
        # The child must not run the clean-up and exit handlers that it inherited.
        os._exit(status)


def _limit(request: Request) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (request.limits.unpacked_bytes,) * 2)
    processor_s = int(request.seconds) + 1 + int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (processor_s, processor_s + 1))
    # The limit is on data, not on address space: libraries map much more memory than they use.
    resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + request.memory_bytes,) * 2)


def _data_bytes() -> int:
    # proc(5): the 6th number is data and stack, in pages.
    return int(Path("/proc/self/statm").read_text("ascii").split()[5]) * resource.getpagesize()


def _load_and_score(request: Request) -> dict[str, str]:
    model = engine_for(request.model.model_type, request.limits).load(request.model, request.schema)
    # A record may hold anything, so scoring may fail; it must not end the process or take too much.
    first = first_row_of(model, request.schema)
    for row in (first, *(row_of(number, model, request.schema) for number in _NUMBERS)):
        for count in (1, 3):
            try:
                model.score(np.repeat(row, count, axis=0))
            except ScoringFailed as error:
                if _NO_MEMORY.search(f"{error} {error.__cause__}"):
                    raise MemoryError from error
    return {}


def _last_words(tale: Path) -> str:
    """Returns the last line of standard error that looks like a library's fatal error, or nothing."""
    with suppress(OSError), tale.open("rb") as file:
        lines = file.read(_LONGEST_TALE).decode("utf-8", "replace").splitlines()
        for line in reversed(lines):
            if "Check failed" in line or "terminate" in line or "what():" in line or "] " in line:
                return f" ({first_line(line.rpartition('] ')[2])})"
    return ""


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):
        main()
    sys.exit()
