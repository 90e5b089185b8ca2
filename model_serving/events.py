"""Tells what happens in a host: one line for each event, as text or as JSON, never one for each record."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum

from google.protobuf.message import DecodeError

from model_serving.protos.modelstatus_pb2 import ModelStatus

__all__ = ["Events", "LogFormat", "Stream", "one_line"]


class LogFormat(Enum):
    """The values of ``--log-format``."""

    TEXT = "text"
    JSON = "json"


class Stream(Enum):
    """Where events are written."""

    OUTPUT = "stdout"
    ERROR = "stderr"


def one_line(text: str) -> str:
    """The text with control characters escaped, so that it is one line and only shows itself."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class Events:
    """Writes events. Safe to use from several threads."""

    def __init__(self, form: LogFormat, name: str, stream: Stream = Stream.ERROR) -> None:
        """``name`` says who tells it."""
        self._stream = stream
        self._form = form
        self._name = name
        self._lock = threading.Lock()

    def tell(self, event: str, text: str, **fields: object) -> None:
        """One event: ``event`` names its kind, ``text`` says it in words."""
        now = datetime.now(UTC).astimezone()
        if self._form is LogFormat.JSON:
            line = json.dumps(
                {"ts": now.isoformat(timespec="milliseconds"), "process": self._name, "event": event}
                | fields
                | {"text": text}
            )
        else:
            line = f"{now:%H:%M:%S} {self._name}: {text}"
        # A closed stream, such as a terminal that has gone away, must not stop what is told about.
        with self._lock, contextlib.suppress(OSError, ValueError):
            stream = getattr(sys, self._stream.value)
            # Not print(): in its worker processes PyFlink puts one of its own there, which takes no flush.
            stream.write(one_line(line) + "\n")
            stream.flush()

    def statuses(self, statuses: Iterable[bytes]) -> None:
        """The events of encoded model statuses that were written; what is not a status is left out."""
        for encoded in statuses:
            try:
                status = ModelStatus.FromString(encoded)
            except DecodeError:
                continue
            state = ModelStatus.State.Name(status.state).lower()
            model = " ".join(filter(None, (status.name, status.version)))
            detail = f" ({status.detail})" if status.detail else ""
            self.tell(
                f"model-{state}",
                f"data type '{status.dataType}': {f'model {model} is ' if model else ''}{state}{detail}",
                data_type=status.dataType,
                model=status.name,
                version=status.version,
                load_ms=round(status.load_ms, 3),
            )
