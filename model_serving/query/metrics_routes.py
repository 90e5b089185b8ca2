"""The metrics of all data types and versions, in Prometheus' text format (see its "Exposition formats")."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from fastapi import APIRouter, Request, Response

from model_serving.query.parts import Parts, parts_of
from model_serving.query.ports import VersionFigures

__all__ = ["metrics_text", "router"]

router = APIRouter(tags=["health"])

_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_MOST = 2_000
"""For how many versions, and for how many data types, there are series. One version has 17 of them."""

_LABEL_CHARACTERS = 200
"""The most characters of a label's value. A longer one is cut; its digest would help nobody."""


@router.get(
    "/metrics",
    summary="Metrics by data type and version, in Prometheus' text format.",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Counters end in `_total`, times are in seconds. See docs/query-server.md for each of them."""
    return Response(metrics_text(parts_of(request)), media_type=_MEDIA_TYPE)


def metrics_text(parts: Parts) -> str:
    """The exposition of all metrics.

    There are series for the 2,000 versions that served last, and how many were left out is a metric itself.
    """
    figures = sorted(
        parts.known.figures(), key=lambda one: (not one.serves, -one.since, one.data_type, one.version)
    )
    shown, left_out = figures[:_MOST], max(0, len(figures) - _MOST)
    lines: list[str] = []
    for name, text, attribute in _COUNTERS:
        lines += _head(name, "counter", text)
        lines += _unique((name, _of_version(one), getattr(one, attribute)) for one in shown)
    lines += _head("model_serving_serves", "gauge", "1 for the version that serves its data type, else 0.")
    lines += _unique(("model_serving_serves", _of_version(one), int(one.serves)) for one in shown)
    lines += _head(
        "model_serving_since_seconds", "gauge", "When the version began to serve, seconds since the epoch."
    )
    lines += _unique(("model_serving_since_seconds", _of_version(one), one.since / 1000) for one in shown)
    for name, text, attribute in _SUMMARIES:
        lines += _head(name, "summary", text)
        lines += _unique(sample for one in shown for sample in _summary(name, one, getattr(one, attribute)))
    lines += _head(
        "model_serving_waiting_records", "gauge", "Records that wait for a model of their data type."
    )
    lines += _unique(
        ("model_serving_waiting_records", {"data_type": name}, count)
        for name, count in list(parts.known.waiting().items())[:_MOST]
    )
    lines += _head("model_serving_dead_letters_total", "counter", "Dead letters, by data type and reason.")
    lines += _unique(
        ("model_serving_dead_letters_total", {"data_type": name, "reason": reason}, count)
        for (name, reason), count in list(parts.known.dead_letter_counts().items())[:_MOST]
    )
    lines += _single("model_serving_data_types", "Data types that are known.", len(parts.known.names()))
    lines += _single(
        "model_serving_versions_left_out", "Versions without series: there are too many.", left_out
    )
    lines += _single("model_serving_event_streams", "Clients that follow the events now.", parts.hub.streams)
    ready = int(not parts.health.problem("/readyz"))
    lines += _single(
        "model_serving_query_ready", "1 if this server has read the topics and they are up to date.", ready
    )
    return "\n".join(lines) + "\n"


_COUNTERS = (
    ("model_serving_records_scored_total", "Records with a result.", "scored"),
    ("model_serving_records_failed_total", "Records that the model could not score.", "failed"),
    ("model_serving_records_missing_total", "Of the failed records, those that lack a value.", "missing"),
)

_SUMMARIES = (
    ("model_serving_scoring_seconds", "Time in the model for a record.", "scoring"),
    ("model_serving_latency_seconds", "Time from a record's timestamp to its result.", "latency"),
)

_Sample = tuple[str, dict[str, str], float]


def _of_version(one: VersionFigures) -> dict[str, str]:
    return {"data_type": one.data_type, "model": one.name, "version": one.version}


def _summary(
    name: str, one: VersionFigures, values: tuple[int, float, Mapping[float, float | None]]
) -> Iterable[_Sample]:
    count, total_ms, quantiles = values
    labels = _of_version(one)
    for fraction, milliseconds in quantiles.items():
        yield (
            name,
            labels | {"quantile": f"{fraction:g}"},
            (math.nan if milliseconds is None else milliseconds / 1000),
        )
    yield f"{name}_sum", labels, total_ms / 1000
    yield f"{name}_count", labels, count


def _single(name: str, text: str, value: float) -> list[str]:
    return [*_head(name, "gauge", text), f"{name} {_number(value)}"]


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _unique(samples: Iterable[_Sample]) -> list[str]:
    """The samples as lines; of those whose labels are equal after cutting, the first."""
    found: dict[str, str] = {}
    for name, labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        found.setdefault(f"{name}{{{shown}}}", _number(value))
    return [f"{series} {value}" for series, value in found.items()]


def _escaped(text: str) -> str:
    cut = text if len(text) <= _LABEL_CHARACTERS else f"{text[: _LABEL_CHARACTERS - 1]}…"
    return cut.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
