"""Finds the model that serves each data type now, from all the reports of the status topic."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model_serving.observe.values import Rejection
from model_serving.protos.modelstatus_pb2 import ModelStatus

__all__ = ["Serving", "fold"]


@dataclass(frozen=True, slots=True)
class Serving:
    """The model that serves a data type.

    ``state`` is ACTIVE, REMOVED, or NONE if no model was ever accepted. ``since`` is epoch milliseconds.
    ``load_ms`` is the longest time that a subtask took to load it. ``rejected`` is the latest rejection since
    the model began to serve. ``detail`` is what the job says of the model that serves: its evaluator, notes.
    """

    data_type: str
    state: str = "NONE"
    name: str = ""
    version: str = ""
    previous: str = ""
    since: int = 0
    load_ms: float = 0.0
    subtasks: tuple[int, ...] = ()
    rejected: Rejection | None = None
    waiting: int = 0
    """Records that waited for a model when the job last said so; 0 once a model is active."""
    detail: str = ""

    def as_json_value(self) -> dict[str, Any]:
        """Returns a value for ``json.dumps``, with the status message's field names where they exist."""
        values = dataclasses.asdict(self)
        return {"dataType": values.pop("data_type"), **values}


def fold(reports: Iterable[ModelStatus]) -> dict[str, Serving]:
    """Returns the model that serves each data type after all ``reports``, sorted by data type.

    The reports may come in any order. Several subtasks report the same change, each at its own time: the
    earliest report gives its time, the others add their subtasks.
    """
    serving: dict[str, Serving] = {}
    for report in sorted(reports, key=lambda one: one.ts):
        before = serving.get(report.dataType, Serving(report.dataType))
        serving[report.dataType] = _after(before, report)
    return dict(sorted(serving.items()))


def _after(before: Serving, report: ModelStatus) -> Serving:
    if report.waiting:
        return dataclasses.replace(before, waiting=report.waiting)
    if report.state == ModelStatus.REJECTED:
        rejection = Rejection(report.name, report.version, report.detail, report.ts)
        return dataclasses.replace(before, rejected=rejection)
    if report.state == ModelStatus.ACTIVE:
        if (before.state, before.name, before.version) == ("ACTIVE", report.name, report.version):
            return dataclasses.replace(
                before,
                previous=before.previous or report.previous,
                load_ms=max(before.load_ms, report.load_ms),
                subtasks=tuple(sorted({*before.subtasks, report.subtask})),
                waiting=0,
                detail=report.detail or before.detail,
            )
        return Serving(
            data_type=report.dataType,
            state="ACTIVE",
            name=report.name,
            version=report.version,
            previous=report.previous,
            since=report.ts,
            load_ms=report.load_ms,
            subtasks=(report.subtask,),
            detail=report.detail,
        )
    if report.state == ModelStatus.REMOVED:
        if before.state == "REMOVED":
            return dataclasses.replace(before, subtasks=tuple(sorted({*before.subtasks, report.subtask})))
        return Serving(
            data_type=report.dataType,
            state="REMOVED",
            previous=before.version or report.previous or report.version,
            since=report.ts,
            subtasks=(report.subtask,),
        )
    return before
