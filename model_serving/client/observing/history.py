"""Prints all models that served a data type, and those that were rejected, in the order of time."""

from __future__ import annotations

import sys
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from model_serving.client.errors import ClientError
from model_serving.client.observing.figures import as_local
from model_serving.client.printable import as_cell, as_json, as_moment, printable
from model_serving.client.reading import Form
from model_serving.messaging.access import KafkaAccess
from model_serving.observe.board import Board, Topic
from model_serving.observe.reading import read_board
from model_serving.observe.values import Change, Rejection

__all__ = ["print_history"]


def print_history(kafka: KafkaAccess, topic: str, *, data_type: str | None, form: Form) -> None:
    """Prints what became of the models of each data type, or of one. JSON is one object a line.

    Raises:
        BrokerUnreachable: no Kafka broker answers.
        MessagingError: there is no status topic.
        ClientError: no job has reported a model for ``data_type``.
    """
    board = read_board(kafka, {topic: Topic.STATUS})
    rows = [row for name in board.names() if data_type in (None, name) for row in _rows(board, name)]
    if not rows and data_type is not None:
        raise ClientError(
            f"no job has reported a model for '{data_type}': publish one (`model-serving publish-models`), "
            "and check that a job runs"
        )
    if form is Form.JSON:
        for row in rows:
            print(as_json(row))
    elif not rows:
        print("no job has reported a model yet: publish one (`model-serving publish-models`)")
    elif sys.stdout.isatty():
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for title in _cells(rows[0]):
            table.add_column(title, overflow="fold", no_wrap=title in ("since", "until"))
        for row in rows:
            times = {"since": as_local(row["since"]), "until": as_local(row.get("until", 0))}
            table.add_row(*map(as_cell, (_cells(row) | times).values()))
        Console().print(table)
    else:
        for row in rows:
            print("  ".join(f"{title}={printable(text) or '-'}" for title, text in _cells(row).items()))


def _rows(board: Board, data_type: str) -> list[dict[str, Any]]:
    """The changes and rejections of a data type; ``until`` is 0 where there is none."""
    standing = board.standing(data_type)
    ends = [*(change.since for change in standing.changes[1:]), 0]
    rows = [_change(data_type, change, end) for change, end in zip(standing.changes, ends, strict=False)]
    rows += [_rejection(data_type, rejection) for rejection in standing.rejections]
    return sorted(rows, key=lambda row: row["since"])


def _change(data_type: str, change: Change, until: int) -> dict[str, Any]:
    return {
        "dataType": data_type,
        "state": change.state,
        "name": change.name,
        "version": change.version,
        "previous": change.previous,
        "since": change.since,
        "until": until,
        "description": change.description,
        "sha256": change.sha256,
        "size": change.size,
        "load_ms": change.load_ms,
        "subtasks": list(change.subtasks),
        "detail": change.detail,
    }


def _rejection(data_type: str, rejection: Rejection) -> dict[str, Any]:
    return {
        "dataType": data_type,
        "state": "REJECTED",
        "name": rejection.name,
        "version": rejection.version,
        "since": rejection.ts,
        "detail": rejection.detail,
    }


def _cells(row: dict[str, Any]) -> dict[str, str]:
    until = row.get("until", 0)
    return {
        "data type": row["dataType"],
        "state": row["state"],
        "model": row["name"],
        "version": row["version"],
        "replaced": row.get("previous", ""),
        "since": as_moment(row["since"]),
        "until": as_moment(until) if until else "",
        "detail": row["detail"],
    }
