"""Translates reports of statistics from and to the messages of the statistics topic."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import lt

import numpy as np

from model_serving.core.errors import UnparsableMessage
from model_serving.core.letters import NAME_BYTES, shortened
from model_serving.core.statistics.distribution import Distribution
from model_serving.core.statistics.fields import BINS, FieldStatistics, Reference
from model_serving.core.statistics.report import VersionStatistics
from model_serving.core.statistics.results import LABEL_BYTES, MOST_LABELS, Results
from model_serving.core.statistics.sketch import MOST_BUCKETS, Buckets, Sketch
from model_serving.protos import statistics_pb2 as pb
from model_serving.wire.frames import MessageParser
from model_serving.wire.wire_types import other_wire_types

__all__ = ["MOST_FIELDS", "REPORT_BYTES", "decode_statistics", "encode_statistics", "statistics_key"]

REPORT_BYTES = 1_000_000
"""The largest report, in bytes: what a Kafka topic takes that nobody has set a size for."""

MOST_FIELDS = 256
"""The most fields in a report."""

_MOST_COUNT = 1 << 48
"""The greatest count: a million records a second for nine years. Sums of many reports stay in 64 bits."""

_OUTERMOST_BUCKET = 40_000
"""The buckets of the smallest and of the greatest float are within these numbers."""

_MOST_REASONS = 32
_NAME = pb.ModelStatistics.DESCRIPTOR.name
_PARSER = MessageParser(pb.ModelStatistics)


def statistics_key(report: VersionStatistics) -> bytes:
    """The key of a report's Kafka message: a JSON list of run, instance, data type and version."""
    return json.dumps([shortened(part, NAME_BYTES) for part in report.key]).encode()


def encode_statistics(report: VersionStatistics) -> bytes:
    """A report for the statistics topic. The last fields are left out if it does not fit ``REPORT_BYTES``."""
    fields = [_field_message(one) for one in report.fields[:MOST_FIELDS]]
    message = pb.ModelStatistics(
        run=shortened(report.run, NAME_BYTES),
        instance=shortened(report.instance, NAME_BYTES),
        host=shortened(report.host, NAME_BYTES),
        dataType=shortened(report.data_type, NAME_BYTES),
        name=shortened(report.name, NAME_BYTES),
        version=shortened(report.version, NAME_BYTES),
        modeltype=report.model_type,
        sha256=shortened(report.sha256, NAME_BYTES),
        since=report.since,
        until=report.until,
        ts=report.ts,
        scored=report.scored,
        failed=report.failed,
        missing=report.missing,
        withoutModel=report.without_model,
        deadLetters=report.dead_letters,
        scoring=_distribution_message(report.scoring),
        latency=_distribution_message(report.latency),
        results=_results_message(report.results),
    )
    # A field has a name and 30 numbers of at most ten bytes.
    room = (REPORT_BYTES - message.ByteSize()) // (NAME_BYTES + 512)
    message.fields.extend(fields[: max(0, room)])
    return message.SerializeToString()


def decode_statistics(payload: bytes) -> VersionStatistics:
    """The report in a message of the statistics topic, whatever bytes these are.

    Raises:
        UnparsableMessage: the bytes are not a report, or say what no report can: counts below 0 or beyond
            reason, numbers that are not finite, more of something than a report holds.
    """
    if len(payload) > REPORT_BYTES:
        raise _wrong(f"it has {len(payload):,} bytes, more than {REPORT_BYTES:,}")
    message: pb.ModelStatistics = _PARSER.parse(payload)
    wrong = other_wire_types(message)
    if wrong is not None:
        raise _wrong(wrong)
    if len(message.fields) > MOST_FIELDS:
        raise _wrong(f"it has {len(message.fields)} fields, more than {MOST_FIELDS}")
    if len(message.deadLetters) > _MOST_REASONS:
        raise _wrong(f"it has {len(message.deadLetters)} reasons of dead letters")
    _check_texts(message)
    return VersionStatistics(
        run=message.run,
        instance=message.instance,
        host=message.host,
        data_type=message.dataType,
        name=message.name,
        version=message.version,
        model_type=message.modeltype,
        sha256=message.sha256,
        since=_instant(message.since, "since"),
        until=_instant(message.until, "until"),
        ts=_instant(message.ts, "ts"),
        scored=_count(message.scored, "scored"),
        failed=_count(message.failed, "failed"),
        missing=_count(message.missing, "missing"),
        without_model=_count(message.withoutModel, "withoutModel"),
        dead_letters=_counts_by_name(message.deadLetters, "deadLetters"),
        scoring=_distribution(message.scoring, "scoring"),
        latency=_distribution(message.latency, "latency"),
        results=_results(message.results),
        fields=[_field(one) for one in message.fields],
    )


def _check_texts(message: pb.ModelStatistics) -> None:
    names = ("run", "instance", "host", "dataType", "name", "version", "sha256")
    texts = [*(getattr(message, name) for name in names), *(one.field for one in message.fields)]
    if any(len(text) > NAME_BYTES for text in (*texts, *message.deadLetters)):
        raise _wrong(f"a name in it is longer than {NAME_BYTES:,} characters")


def _distribution_message(one: Distribution) -> pb.Distribution | None:
    if not one.count:
        return None
    sketch = pb.Sketch(
        first=one.sketch.positive.first,
        counts=one.sketch.positive.counts.tolist(),
        zeros=one.sketch.zeros,
        negativeFirst=one.sketch.negative.first,
        negativeCounts=one.sketch.negative.counts.tolist(),
    )
    return pb.Distribution(count=one.count, sum=one.sum, min=one.minimum, max=one.maximum, sketch=sketch)


def _results_message(one: Results) -> pb.Results:
    labels = dict(one.frequent(MOST_LABELS))
    others = one.other_labels + sum(one.labels.values()) - sum(labels.values())
    return pb.Results(
        labels=labels,
        otherLabels=others,
        numbers=_distribution_message(one.numbers),
        squaredDeviations=one.squared_deviations,
    )


def _field_message(one: FieldStatistics) -> pb.FieldStatistics:
    reference = one.reference
    return pb.FieldStatistics(
        field=shortened(one.field, NAME_BYTES),
        count=one.count,
        missing=one.missing,
        sum=one.sum,
        edges=one.edges,
        bins=one.bins,
        reference=None if reference is None else _reference_message(reference),
    )


@lru_cache(maxsize=1024)
def _reference_message(reference: Reference) -> pb.Reference:
    """The same for all reports of a version."""
    return pb.Reference(
        source=reference.source,
        count=reference.count,
        missing=reference.missing,
        sum=reference.sum,
        bins=reference.bins,
    )


def _distribution(message: pb.Distribution, where: str) -> Distribution:
    count = _count(message.count, f"{where}.count")
    if not count:
        return Distribution()
    least, most = _finite(message.min, f"{where}.min"), _finite(message.max, f"{where}.max")
    if least > most:
        raise _wrong(f"{where}.min is greater than {where}.max")
    sketch = Sketch(
        _buckets(message.sketch.first, message.sketch.counts, f"{where}.sketch.counts"),
        _buckets(
            message.sketch.negativeFirst, message.sketch.negativeCounts, f"{where}.sketch.negativeCounts"
        ),
        _count(message.sketch.zeros, f"{where}.sketch.zeros"),
    )
    if sketch.count != count:
        raise _wrong(f"{where}.sketch holds {sketch.count} numbers, and {where}.count is {count}")
    return Distribution(count, _finite(message.sum, f"{where}.sum"), least, most, sketch)


def _buckets(first: int, counts: Sequence[int], where: str) -> Buckets:
    if len(counts) > MOST_BUCKETS:
        raise _wrong(f"{where} has {len(counts)} buckets, more than {MOST_BUCKETS}")
    if not counts:
        return Buckets()
    if abs(first) > _OUTERMOST_BUCKET:
        raise _wrong(f"{where} begins at bucket {first}")
    if sum(counts) > _MOST_COUNT:
        raise _wrong(f"{where} holds more than {_MOST_COUNT:,} numbers")
    return Buckets(first, np.array(counts, np.int64))


def _results(message: pb.Results) -> Results:
    if len(message.labels) > MOST_LABELS:
        raise _wrong(f"it has {len(message.labels)} labels, more than {MOST_LABELS}")
    # A cut label ends with "…", within the limit.
    if any(len(label) > LABEL_BYTES for label in message.labels):
        raise _wrong(f"a label is longer than {LABEL_BYTES} characters")
    deviations = _finite(message.squaredDeviations, "results.squaredDeviations")
    if deviations < 0:
        raise _wrong("results.squaredDeviations is negative")
    return Results(
        _counts_by_name(message.labels, "results.labels"),
        _count(message.otherLabels, "results.otherLabels"),
        _distribution(message.numbers, "results.numbers"),
        deviations,
    )


def _field(message: pb.FieldStatistics) -> FieldStatistics:
    where = "fields"
    edges = tuple(message.edges)
    if not all(map(math.isfinite, edges)):
        raise _wrong(f"{where}.edges has a number that is not finite")
    if len(edges) >= BINS:
        raise _wrong(f"{where}.edges has {len(edges)} limits, more than {BINS - 1}")
    if not all(map(lt, edges, edges[1:])):
        raise _wrong(f"{where}.edges is not ascending")
    count, missing = _share(message.count, message.missing, where)
    one = FieldStatistics(message.field, count, missing, _finite(message.sum, f"{where}.sum"))
    if not message.HasField("reference"):
        if message.bins or edges:
            raise _wrong(f"{where} has bins and no reference")
        return one
    referred = message.reference
    bins = _bins(message.bins, len(edges) + 1, f"{where}.bins")
    count, missing = _share(referred.count, referred.missing, f"{where}.reference")
    reference = Reference(
        referred.source,
        count,
        missing,
        _finite(referred.sum, f"{where}.reference.sum"),
        _bins(referred.bins, len(edges) + 1, f"{where}.reference.bins"),
    )
    return FieldStatistics(one.field, one.count, one.missing, one.sum, edges, bins, reference)


def _share(count: int, missing: int, where: str) -> tuple[int, int]:
    if _count(missing, f"{where}.missing") > _count(count, f"{where}.count"):
        raise _wrong(f"{where}.missing is greater than {where}.count")
    return count, missing


def _bins(bins: Sequence[int], expected: int, where: str) -> tuple[int, ...]:
    if len(bins) != expected:
        raise _wrong(f"{where} has {len(bins)} numbers, and {expected} bins are there")
    counts = tuple(bins)
    # There are dozens in each report: only what is wrong is looked at one by one.
    if min(counts) < 0 or max(counts) > _MOST_COUNT:
        return tuple(_count(one, where) for one in counts)
    return counts


def _counts_by_name(counts: Mapping[str, int], where: str) -> dict[str, int]:
    return {name: _count(count, where) for name, count in counts.items()}


def _count(number: int, where: str) -> int:
    if not 0 <= number <= _MOST_COUNT:
        raise _wrong(f"{where} is {number}, which is not a count")
    return number


def _instant(number: int, where: str) -> int:
    if number < 0:
        raise _wrong(f"{where} is {number}, which is not a time")
    return number


def _finite(number: float, where: str) -> float:
    if not math.isfinite(number):
        raise _wrong(f"{where} is {number}, which is not a finite number")
    return number


def _wrong(why: str) -> UnparsableMessage:
    return UnparsableMessage(_NAME, why)
