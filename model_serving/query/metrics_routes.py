"""The metrics of all data types and versions, in Prometheus' text format (see its "Exposition formats")."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from model_serving.core.statistics.distribution import Distribution
from model_serving.observe.figures import Figures
from model_serving.query.parts import Parts, parts_of
from model_serving.query.ports import Lag

__all__ = ["metrics_text", "router"]

router = APIRouter(tags=["health"])

_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_MOST = 1_000
"""For how many versions, and for how many data types, there are series. One version has about 45 of them."""

_LABEL_CHARACTERS = 200
"""The most characters of a label's value. A longer one is cut; its digest would help nobody."""


_SCORING_S = (1e-6, 2.5e-6, 1e-5, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 2.5e-3, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0)
_LATENCY_S = (
    1e-3,
    2.5e-3,
    5e-3,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    3_600.0,
)
"""The limits of the histograms' buckets, in seconds."""


@router.get(
    "/metrics",
    summary="Metrics by data type and version, in Prometheus' text format.",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Counters end in `_total`, times are in seconds. See docs/metrics.md for each of them."""
    # With thousands of data types it takes seconds, and others should not wait for it.
    text = await run_in_threadpool(metrics_text, parts_of(request))
    return Response(text, media_type=_MEDIA_TYPE)


def metrics_text(parts: Parts) -> str:
    """The exposition of all metrics.

    There are series for the 1,000 versions that began to serve last, and how many were left out is a metric
    itself. Where what serves has no statistics, its counts are 0.
    """
    known = parts.known
    figures = sorted(
        known.figures(), key=lambda one: (not one.serves, -one.since, one.data_type, one.version)
    )
    shown, left_out = figures[:_MOST], max(0, len(figures) - _MOST)
    lines: list[str] = []
    for name, kind, text, value in _OF_VERSIONS:
        samples = ((name, _labels(one), value(one)) for one in shown)
        lines += [*_head(name, kind, text), *_unique(samples)]
    for name, text, limits, distribution in _HISTOGRAMS:
        lines += _head(name, "histogram", text)
        lines += _unique(
            sample for one in shown for sample in _buckets(name, _labels(one), distribution(one), limits)
        )
    for name, kind, text, counts in (
        ("dead_letters_total", "counter", "Dead letters.", _by_reason(known.dead_letter_counts())),
        ("rollbacks_total", "counter", "Versions that were taken back.", _by_data_type(known.rollbacks())),
        ("waiting_records", "gauge", "Records that wait for a model.", _by_data_type(known.waiting())),
        (
            "consumer_lag_records",
            "gauge",
            "Records in Kafka that are not read yet.",
            _by_partition(parts.lag),
        ),
    ):
        full = f"model_serving_{name}"
        lines += _head(full, kind, text)
        lines += _unique((full, labels, count) for labels, count in counts[:_MOST])
    ready = not parts.health.problem("/readyz")
    lines += _single("model_serving_data_types", "Data types that are known.", len(known.names()))
    lines += _single(
        "model_serving_versions_left_out", "Versions without series: there are too many.", left_out
    )
    lines += _single("model_serving_event_streams", "Clients that follow the events now.", parts.hub.streams)
    lines += _single(
        "model_serving_query_ready", "1: this server has read its topics to their end.", int(ready)
    )
    return "\n".join(lines) + "\n"


_Sample = tuple[str, dict[str, str], float | None]

_OF_VERSIONS: tuple[tuple[str, str, str, Callable[[Figures], float | None]], ...] = (
    ("model_serving_records_scored_total", "counter", "Records with a result.", lambda one: one.scored),
    (
        "model_serving_records_failed_total",
        "counter",
        "Records that the model could not score.",
        lambda one: one.failed,
    ),
    (
        "model_serving_records_missing_total",
        "counter",
        "Of the failed records, those that lack a value.",
        lambda one: one.missing,
    ),
    (
        "model_serving_serves",
        "gauge",
        "1: the version serves its data type now.",
        lambda one: int(one.serves),
    ),
    (
        "model_serving_since_seconds",
        "gauge",
        "When the version began to serve, seconds since the epoch.",
        lambda one: one.since / 1000 if one.since else None,
    ),
    (
        "model_serving_drift_psi",
        "gauge",
        "The greatest population stability index of the version's fields, in the last ten to twenty minutes.",
        lambda one: one.drift,
    ),
    (
        "model_serving_drifted_fields",
        "gauge",
        "Fields of the version that have drifted, in the last ten to twenty minutes.",
        lambda one: one.drifted,
    ),
)

_HISTOGRAMS: tuple[tuple[str, str, tuple[float, ...], Callable[[Figures], Distribution]], ...] = (
    ("model_serving_scoring_seconds", "Time in the model for a record.", _SCORING_S, lambda one: one.scoring),
    (
        "model_serving_latency_seconds",
        "Time from a record's timestamp to its result.",
        _LATENCY_S,
        lambda one: one.latency,
    ),
)


def _labels(one: Figures) -> dict[str, str]:
    return {"data_type": one.data_type, "model": one.name, "version": one.version}


def _by_reason(counts: Mapping[tuple[str, str], int]) -> list[tuple[dict[str, str], int]]:
    return [({"data_type": name, "reason": reason}, count) for (name, reason), count in counts.items()]


def _by_data_type(counts: Mapping[str, int]) -> list[tuple[dict[str, str], int]]:
    return [({"data_type": name}, count) for name, count in counts.items()]


def _by_partition(lag: Lag | None) -> list[tuple[dict[str, str], int]]:
    """The partitions that are furthest behind come first: with very many, the others are left out."""
    behind = {} if lag is None else lag.behind()
    return [
        ({"topic": topic, "partition": str(partition)}, count)
        for (topic, partition), count in sorted(behind.items(), key=lambda item: (-item[1], item[0]))
    ]


def _buckets(
    name: str, labels: dict[str, str], distribution: Distribution, limits: tuple[float, ...]
) -> Iterable[_Sample]:
    """The samples of a histogram; a value is counted in the bucket of a number that is at most 1 % off."""
    counts = [0] * (len(limits) + 1)
    for low, high, count in distribution.sketch.buckets():
        counts[bisect_left(limits, (low + high) / 2000)] += count
    for limit, below in zip(limits, accumulate(counts), strict=False):
        yield f"{name}_bucket", labels | {"le": f"{limit:g}"}, below
    yield f"{name}_bucket", labels | {"le": "+Inf"}, distribution.count
    yield f"{name}_sum", labels, distribution.sum / 1000
    yield f"{name}_count", labels, distribution.count


def _single(name: str, text: str, value: float) -> list[str]:
    return [*_head(name, "gauge", text), f"{name} {_number(value)}"]


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _unique(samples: Iterable[_Sample]) -> list[str]:
    """The samples that have a value, as lines; of those whose labels are equal after cutting, the first."""
    found: dict[str, str] = {}
    for name, labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        if value is not None:
            found.setdefault(f"{name}{{{shown}}}", _number(value))
    return [f"{series} {value}" for series, value in found.items()]


def _escaped(text: str) -> str:
    cut = text if len(text) <= _LABEL_CHARACTERS else f"{text[: _LABEL_CHARACTERS - 1]}…"
    return cut.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
