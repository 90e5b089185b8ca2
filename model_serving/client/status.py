"""Finds the model that serves each data type now, from all the reports of the status topic."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model_serving.observe.limits import Limits
from model_serving.observe.statuses import StatusFold, report_of
from model_serving.observe.values import Place, Rejection, Standing
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

    The reports may come in any order. They are folded as for a board (see ``observe.statuses``).
    """
    limits = Limits()
    folds: dict[str, StatusFold] = {}
    for number, message in enumerate(reports):
        report = report_of(message, Place(0, number), limits)
        if report is not None:
            folds.setdefault(message.dataType, StatusFold()).add(report, limits.status_reports)
    return {data_type: _serving(data_type, one.standing()) for data_type, one in sorted(folds.items())}


def _serving(data_type: str, standing: Standing) -> Serving:
    now = standing.now
    rejected = [one for one in standing.rejections if now is None or one.ts >= now.since]
    serving = Serving(data_type, rejected=rejected[-1] if rejected else None, waiting=standing.waiting)
    if now is None:
        return serving
    serving = dataclasses.replace(
        serving, state=now.state, previous=now.previous, since=now.since, subtasks=now.subtasks
    )
    if now.state == "REMOVED":
        return serving
    return dataclasses.replace(
        serving, name=now.name, version=now.version, load_ms=now.load_ms, detail=now.detail
    )
