"""Tells what happens in a server: one line for each event, as text or as JSON, never one for each record."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum

from model_serving.protos.modelstatus_pb2 import ModelStatus

__all__ = ["Events", "LogFormat", "one_line"]


class LogFormat(Enum):
    """The values of ``--log-format``."""

    TEXT = "text"
    JSON = "json"


def one_line(text: str) -> str:
    """The text with control characters escaped, so that it is one line and only shows itself."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class Events:
    """Writes events to standard error. Safe to use from several threads."""

    def __init__(self, form: LogFormat, name: str) -> None:
        self._form = form
        self._name = name
        self._lock = threading.Lock()

    def tell(self, event: str, text: str, **fields: object) -> None:
        """One event: ``event`` names its kind, ``text`` says it in words."""
        now = datetime.now(UTC).astimezone()
        if self._form is LogFormat.JSON:
            line = json.dumps(
                {"ts": now.isoformat(timespec="milliseconds"), "server": self._name, "event": event}
                | fields
                | {"text": text}
            )
        else:
            line = f"{now:%H:%M:%S} {self._name}: {text}"
        with self._lock:
            print(one_line(line), file=sys.stderr, flush=True)

    def statuses(self, statuses: Iterable[bytes]) -> None:
        """The events of model statuses that were written."""
        for encoded in statuses:
            status = ModelStatus.FromString(encoded)
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
