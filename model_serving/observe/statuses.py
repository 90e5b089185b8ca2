"""Folds the status messages of one data type into the models that served it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Generic, TypeVar

from model_serving.observe.limits import Limits, cut
from model_serving.observe.newest import Newest
from model_serving.observe.values import Change, Place, Rejection, Standing
from model_serving.protos.modelstatus_pb2 import ModelStatus

__all__ = ["AnyReport", "Report", "StatusFold", "report_of"]


_What = TypeVar("_What")


@dataclass(frozen=True, slots=True)
class Report(Generic[_What]):
    """What is kept of a status message: a change with one subtask, a rejection, or waiting records."""

    order: tuple[int, int, int]
    what: _What
    subtask: int


AnyReport = Report[Change] | Report[Rejection] | Report[int]


def report_of(message: ModelStatus, place: Place, limits: Limits) -> AnyReport | None:
    """Returns what the message says; None if that is nothing."""
    order = (message.ts, place.partition, place.offset)
    most = limits.text_characters
    name, version, detail = (cut(text, most) for text in (message.name, message.version, message.detail))
    if message.waiting:
        return Report(order, message.waiting, message.subtask)
    if message.state == ModelStatus.REJECTED:
        return Report(order, Rejection(name, version, detail, message.ts), message.subtask)
    if message.state not in (ModelStatus.ACTIVE, ModelStatus.REMOVED):
        return None
    change = Change(
        state="ACTIVE" if message.state == ModelStatus.ACTIVE else "REMOVED",
        name=name,
        version=version,
        previous=cut(message.previous, most),
        since=message.ts,
        description=cut(message.description, most),
        model_type=message.modeltype,
        sha256=cut(message.sha256, most),
        size=message.size,
        detail=detail,
        load_ms=message.load_ms,
        subtasks=(message.subtask,),
    )
    return Report(order, change, message.subtask)


class StatusFold:
    """The reports about one data type. Changes, rejections and waiting records are limited each by itself."""

    __slots__ = ("_changes", "_rejections", "_standing", "_waiting")

    def __init__(self) -> None:
        self._changes: Newest[Report[Change]] = Newest()
        self._rejections: Newest[Report[Rejection]] = Newest()
        self._waiting: dict[int, Report[int]] = {}
        self._standing: Standing | None = None

    def add(self, report: AnyReport, limit: int) -> int:
        """Adds a report; returns by how many more are kept now, which may be less than 0."""
        self._standing = None
        match report.what:
            case Change():
                return self._changes.add(Report(report.order, report.what, report.subtask), limit)
            case Rejection():
                return self._rejections.add(Report(report.order, report.what, report.subtask), limit)
            case _:
                return self._add_waiting(Report(report.order, report.what, report.subtask), limit)

    def _add_waiting(self, report: Report[int], limit: int) -> int:
        known = self._waiting.get(report.subtask)
        if known is None and len(self._waiting) >= limit:
            return 0
        if known is None or known.order < report.order:
            self._waiting[report.subtask] = report
        return int(known is None)

    def trim(self, limit: int) -> int:
        """Forgets the oldest reports beyond the limit; returns their number as a number below 0."""
        self._standing = None
        return self._changes.trim(limit) + self._rejections.trim(limit)

    @property
    def served(self) -> bool:
        """Whether a model message was ever reported for the data type."""
        return bool(self._changes or self._rejections)

    def __len__(self) -> int:
        return len(self._changes) + len(self._rejections) + len(self._waiting)

    def standing(self) -> Standing:
        """What the reports say together."""
        if self._standing is None:
            self._standing = self._folded()
        return self._standing

    def _folded(self) -> Standing:
        changes: list[Change] = []
        active = (-1, -1, -1)
        for report in self._changes:
            if report.what.state == "ACTIVE":
                active = report.order
            if changes and _is_same(changes[-1], report.what):
                changes[-1] = _together(changes[-1], report.what)
            else:
                changes.append(_replacing(changes[-1] if changes else None, report.what))
        return Standing(
            tuple(changes),
            tuple(report.what for report in self._rejections),
            sum(report.what for report in self._waiting.values() if report.order > active),
        )


def _is_same(one: Change, other: Change) -> bool:
    """Whether two successive reports are about the same change."""
    if one.state != other.state:
        return False
    return one.state == "REMOVED" or (one.name, one.version) == (other.name, other.version)


def _together(one: Change, other: Change) -> Change:
    return dataclasses.replace(
        one,
        previous=one.previous or other.previous,
        description=one.description or other.description,
        detail=other.detail or one.detail,
        load_ms=max(one.load_ms, other.load_ms),
        subtasks=tuple(sorted({*one.subtasks, *other.subtasks})),
    )


def _replacing(before: Change | None, change: Change) -> Change:
    """A removal names the version that served; its report may not."""
    if change.state == "ACTIVE":
        return change
    served = before.version if before is not None else change.previous or change.version
    return dataclasses.replace(change, previous=served)
