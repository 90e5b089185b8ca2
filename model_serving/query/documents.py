"""The JSON forms of what a board answers. Their field names are part of the outside contract."""

from __future__ import annotations

import base64
from dataclasses import asdict

from model_serving.observe.answers import DataType, FieldDrift, ResultSummary, Series, Summary, Version
from model_serving.observe.values import Letter
from model_serving.query.digests import digest_of
from model_serving.query.ports import Document

__all__ = ["data_type_document", "letter_document", "series_document", "serving_document", "version_document"]


def serving_document(found: DataType) -> Document | None:
    """The fields of ``GET /state``; None if no model serves. Times in the model are milliseconds."""
    if found.state != "ACTIVE":
        return None
    return {
        "name": found.name,
        "description": found.description,
        "modelType": found.model_type,
        "since": found.since,
        "usage": found.scored,
        "duration": found.scoring.sum,
        "min": found.scoring.min,
        "max": found.scoring.max,
        "version": found.version,
        "sha256": found.sha256,
        "previous": found.previous,
    }


def data_type_document(found: DataType) -> Document:
    """A data type: what serves it, how fast and how well. ``serving`` is null if nothing serves."""
    serving = None
    if found.state == "ACTIVE":
        serving = {
            "name": found.name,
            "description": found.description,
            "version": found.version,
            "modelType": found.model_type,
            "sha256": found.sha256,
            "size": found.size,
            "previous": found.previous,
            "since": found.since,
            "loadMs": found.load_ms,
            "subtasks": list(found.subtasks),
            "detail": found.detail,
        }
    return {
        "dataType": found.data_type,
        "id": digest_of(found.data_type),
        "state": found.state,
        "serving": serving,
        "rejected": [] if found.rejected is None else [asdict(found.rejected)],
        "waiting": found.waiting,
        "throughput": found.throughput,
        "scored": found.scored,
        "failed": found.failed,
        "missing": found.missing,
        "withoutModel": found.without_model,
        "scoring": _summary(found.scoring),
        "latency": _summary(found.latency),
        "deadLetters": dict(found.dead_letters),
        "heard": found.heard,
    }


def version_document(version: Version) -> Document:
    """A version that served, with its statistics over all instances. ``until`` is 0 while it serves."""
    return {
        "name": version.name,
        "description": version.description,
        "version": version.version,
        "modelType": version.model_type,
        "sha256": version.sha256,
        "serving": version.serves,
        "since": version.since,
        "until": version.until,
        "throughput": version.throughput,
        "scored": version.scored,
        "failed": version.failed,
        "missing": version.missing,
        "scoring": _summary(version.scoring),
        "latency": _summary(version.latency),
        "results": _results(version.results),
        "fields": [_drift(one) for one in version.fields],
        "lately": [_drift(one) for one in version.lately],
    }


def series_document(series: Series) -> Document:
    """The course of a data type; ``throughput`` and ``failed`` are records a second."""
    return {
        "dataType": series.data_type,
        "intervalS": series.interval_s,
        "points": [asdict(point) for point in series.points],
        "swaps": [
            {
                "ts": swap.ts,
                "state": swap.change.state,
                "name": swap.change.name,
                "version": swap.change.version,
                "previous": swap.change.previous,
            }
            for swap in series.swaps
        ],
    }


def letter_document(letter: Letter) -> Document:
    """A dead letter. ``payload`` is base64 of the first bytes, ``size`` the number of all of them."""
    return {
        "ts": letter.ts,
        "reason": letter.reason,
        "detail": letter.detail,
        "payload": base64.b64encode(letter.payload).decode("ascii"),
        "size": letter.size,
        "topic": letter.topic,
        "dataType": letter.data_type,
        "model": letter.model,
        "version": letter.version,
        "partition": letter.place.partition,
        "offset": letter.place.offset,
    }


def _summary(summary: Summary) -> Document:
    return {**asdict(summary), "mean": summary.mean}


def _results(results: ResultSummary) -> Document:
    return {
        "labels": dict(results.labels),
        "otherLabels": results.other_labels,
        "numbers": _summary(results.numbers),
        "mean": results.mean,
        "deviation": results.deviation,
        "histogram": [{"from": one.low, "to": one.high, "count": one.count} for one in results.histogram],
    }


def _drift(drift: FieldDrift) -> Document:
    return {
        "field": drift.field,
        "count": drift.count,
        "missingShare": drift.missing_share,
        "mean": drift.mean,
        "psi": drift.psi,
        "drifted": drift.drifted,
        "reference": {
            "source": drift.source,
            "count": drift.reference_count,
            "missingShare": drift.reference_missing_share,
            "mean": drift.reference_mean,
        },
    }
