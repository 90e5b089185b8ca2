"""Prints the messages of a topic, or the models that serve now."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any

from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from model_serving.client.decoding import Kind, as_json_value, as_line, parse
from model_serving.client.distinct import SeenSources
from model_serving.client.errors import ClientError
from model_serving.client.printable import as_cell, as_json, as_moment, printable
from model_serving.client.status import Serving, fold
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.receiving import Received, Start, TopicReader
from model_serving.protos.modelstatus_pb2 import ModelStatus

__all__ = ["Form", "Repeats", "print_status", "read_topic"]


class Form(Enum):
    """The form in which values are printed."""

    TEXT = "text"
    JSON = "json"


class Repeats(Enum):
    """What is done with a further result of the same record."""

    PRINTED = "printed"
    LEFT_OUT = "left out"


def read_topic(
    kafka: KafkaAccess,
    topic: str,
    *,
    kind: Kind,
    message_type: type[Message],
    start: Start,
    count: int | None,
    form: Form,
    repeats: Repeats = Repeats.PRINTED,
) -> None:
    """Prints messages as they come, ``count`` of them, or for ever if it is None.

    JSON is one object a line: the fields of the message, and ``kafka`` with partition, offset, timestamp and,
    where a result names its record, ``source``. For a message that is not of the topic's type, ``error`` and
    ``payload`` replace the fields. A message that does not name its record is never taken for a repeat.
    """
    seen = SeenSources() if repeats is Repeats.LEFT_OUT else None
    with TopicReader(kafka, [topic], start=start) as reader:
        since = "its beginning" if start is Start.BEGINNING else "now"
        print(f"reading '{topic}' from {since} on; Ctrl-C stops", file=sys.stderr, flush=True)
        console = Console(soft_wrap=True) if form is Form.TEXT and sys.stdout.isatty() else None
        left = count
        while left is None or left > 0:
            received = _new(reader.poll(0.1), seen)[:left]
            for one in received:
                message = parse(message_type, one.payload)
                if form is Form.JSON:
                    print(as_json(_json_value(one, message, message_type)))
                elif console is not None:
                    console.print(as_cell(_text(one, kind, message)))
                else:
                    print(_text(one, kind, message))
            sys.stdout.flush()
            left = None if left is None else left - len(received)


def _new(received: list[Received], seen: SeenSources | None) -> list[Received]:
    if seen is None:
        return received
    return [one for one in received if one.source is None or not seen.is_repeat(one.source)]


def print_status(kafka: KafkaAccess, topic: str, *, data_type: str | None, form: Form) -> None:
    """Prints the model that serves each data type, or only ``data_type``. JSON is one object a line.

    Raises:
        ClientError: no job has reported a model for ``data_type``.
    """
    serving = fold(_reports(kafka, topic))
    if data_type is not None and data_type not in serving:
        raise ClientError(
            f"no job has reported a model for '{data_type}': publish one (`model-serving publish-models`), "
            "and check that a job runs"
        )
    shown = list(serving.values()) if data_type is None else [serving[data_type]]
    if form is Form.JSON:
        for one in shown:
            print(as_json(one.as_json_value()))
    elif not shown:
        print("no job has reported a model yet: publish one (`model-serving publish-models`)")
    elif sys.stdout.isatty():
        Console().print(_table(shown))
    else:
        for one in shown:
            print("  ".join(f"{title}={printable(cell) or '-'}" for title, cell in _cells(one).items()))


def _reports(kafka: KafkaAccess, topic: str) -> Iterator[ModelStatus]:
    with TopicReader(kafka, [topic], start=Start.BEGINNING) as reader:
        for received in reader.until_end():
            report = parse(ModelStatus, received.payload)
            if isinstance(report, ModelStatus) and report.dataType:
                yield report


def _json_value(received: Received, message: Message | None, message_type: type[Message]) -> dict[str, Any]:
    place: dict[str, Any] = {
        "partition": received.partition,
        "offset": received.offset,
        "timestamp": received.timestamp,
    }
    if received.source is not None:
        place["source"] = str(received.source)
    if message is None:
        payload = base64.b64encode(received.payload).decode("ascii")
        return {"error": f"not a {message_type.__name__}", "payload": payload, "kafka": place}
    return {**as_json_value(message), "kafka": place}


def _text(received: Received, kind: Kind, message: Message | None) -> str:
    if message is None:
        size = len(received.payload)
        return f"(partition {received.partition}, offset {received.offset}: {size:,} bytes of another kind)"
    return as_line(kind, message)


def _cells(serving: Serving) -> dict[str, str]:
    rejected = serving.rejected
    return {
        "data type": serving.data_type,
        "state": serving.state,
        "model": serving.name,
        "version": serving.version,
        "replaced": serving.previous,
        "since": as_moment(serving.since) if serving.since else "",
        "loaded in": f"{serving.load_ms:.0f} ms" if serving.state == "ACTIVE" else "",
        "subtasks": ",".join(map(str, serving.subtasks)),
        "detail": serving.detail,
        "records waiting": f"{serving.waiting:,}" if serving.waiting else "",
        "rejected since": f"{rejected.name} {rejected.version}: {rejected.detail}" if rejected else "",
    }


def _table(shown: list[Serving]) -> Table:
    table = Table()
    for title in _cells(shown[0]):
        # Text that does not fit is folded, because by default rich cuts it off.
        table.add_column(title, overflow="fold")
    for one in shown:
        table.add_row(*map(as_cell, _cells(one).values()))
    return table
