"""Reports as messages: there and back, and whatever bytes come."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.core.errors import UnparsableMessage
from model_serving.core.statistics.fields import FieldStatistics
from model_serving.core.statistics.report import VersionStatistics
from model_serving.core.statistics.results import MOST_LABELS
from model_serving.protos import statistics_pb2 as pb
from model_serving.wire.statistics import (
    MOST_FIELDS,
    REPORT_BYTES,
    decode_statistics,
    encode_statistics,
    statistics_key,
)
from tests.unit.core.statistics.reports import reports


def example() -> VersionStatistics:
    report = VersionStatistics(run="r", instance="0", data_type="wine", version="7", scored=3)
    report.latency.add(np.array([1.0, 2.0, 900.0]))
    report.results.add(np.array([5.0, 6.0, -6.0]), ["a", "b", "b"])
    return report


def rewritten(change: Callable[[pb.ModelStatistics], None]) -> bytes:
    message = pb.ModelStatistics.FromString(encode_statistics(example()))
    change(message)
    return message.SerializeToString()


@settings(max_examples=60)
@given(reports())
def test_a_report_comes_back_as_it_was(report: VersionStatistics) -> None:
    payload = encode_statistics(report)
    back = decode_statistics(payload)
    assert encode_statistics(back) == payload or _same_message(encode_statistics(back), payload)
    assert back.key == report.key
    assert back.scored == report.scored
    assert back.latency.quantile(0.99) == report.latency.quantile(0.99) or not report.latency.count
    assert back.results.labels == report.results.labels
    assert back.fields == report.fields


def _same_message(one: bytes, other: bytes) -> bool:
    # Maps are written in any order.
    return pb.ModelStatistics.FromString(one) == pb.ModelStatistics.FromString(other)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_report_or_refused(payload: bytes) -> None:
    try:
        report = decode_statistics(payload)
    except UnparsableMessage:
        return
    assert report.scored >= 0
    encode_statistics(report)


@given(st.data())
def test_a_report_with_changed_bytes_is_a_report_or_refused(data: st.DataObject) -> None:
    payload = bytearray(encode_statistics(example()))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        report = decode_statistics(bytes(payload))
    except UnparsableMessage:
        return
    report.latency.quantile(0.5)
    report.results.histogram()


CHANGES: dict[str, Callable[[pb.ModelStatistics], object]] = {
    "NaN": lambda message: setattr(message.latency, "sum", math.nan),
    "infinite": lambda message: setattr(message.latency, "max", math.inf),
    "negative count": lambda message: setattr(message, "scored", -1),
    "count beyond reason": lambda message: setattr(message, "scored", 1 << 62),
    "negative time": lambda message: setattr(message, "since", -5),
    "extremes the wrong way round": lambda message: setattr(message.latency, "min", 1e9),
    "another count in the sketch": lambda message: setattr(message.latency, "count", 4),
    "too many buckets": lambda message: message.latency.sketch.counts.extend([0] * 3000),
    "huge bucket": lambda message: message.latency.sketch.counts.append((1 << 64) - 1),
    "far bucket": lambda message: setattr(message.latency.sketch, "first", 1 << 30),
    "too many labels": lambda message: message.results.labels.update({str(n): 1 for n in range(200)}),
    "long label": lambda message: message.results.labels.update({"x" * 1000: 1}),
    "negative label count": lambda message: message.results.labels.update({"x": -1}),
    "too many fields": lambda message: message.fields.extend([pb.FieldStatistics()] * (MOST_FIELDS + 1)),
    "bins without reference": lambda message: message.fields.extend([pb.FieldStatistics(bins=[1])]),
    "descending limits": lambda message: message.fields.extend(
        [pb.FieldStatistics(edges=[2, 1], bins=[1, 1, 1], reference=pb.Reference(bins=[1, 1, 1]))]
    ),
    "other bins": lambda message: message.fields.extend(
        [pb.FieldStatistics(edges=[1], bins=[1, 1], reference=pb.Reference(bins=[1, 1, 1]))]
    ),
    "more missing than there are": lambda message: message.fields.extend([pb.FieldStatistics(missing=1)]),
    "long name": lambda message: setattr(message, "dataType", "x" * 5000),
    "negative deviations": lambda message: setattr(message.results, "squaredDeviations", -1.0),
    "many reasons": lambda message: message.deadLetters.update({str(n): 1 for n in range(100)}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_no_report_says_is_refused(change: Callable[[pb.ModelStatistics], None]) -> None:
    with pytest.raises(UnparsableMessage, match="not a ModelStatistics message"):
        decode_statistics(rewritten(change))


def test_a_message_that_is_too_large_is_refused() -> None:
    with pytest.raises(UnparsableMessage, match="more than"):
        decode_statistics(b"\0" * (REPORT_BYTES + 1))


def test_the_largest_report_fits() -> None:
    report = example()
    wide = 10.0 ** np.linspace(-300, 300, 5000)
    for distribution in (report.latency, report.scoring, report.results.numbers):
        distribution.add(wide)
        distribution.add(-wide)
    report.results.labels = {f"{'é' * 100} {number}": 1 << 40 for number in range(MOST_LABELS)}
    report.fields = [FieldStatistics("f" * 1000 + str(number), 1, 0, 1.0) for number in range(500)]
    payload = encode_statistics(report)
    assert len(payload) <= REPORT_BYTES
    assert len(decode_statistics(payload).fields) == MOST_FIELDS


def test_a_merged_report_has_its_most_frequent_labels() -> None:
    report = VersionStatistics()
    report.results.labels = {f"label {number}": number + 1 for number in range(MOST_LABELS + 3)}
    back = decode_statistics(encode_statistics(report))
    assert len(back.results.labels) == MOST_LABELS
    assert back.results.other_labels == 1 + 2 + 3


def test_keys_of_different_reports_differ() -> None:
    names = [("a", "b/c"), ("a/b", "c"), ("a\0b", "c"), ('a","b', "c")]
    keys = {statistics_key(VersionStatistics(data_type=one, version=two)) for one, two in names}
    assert len(keys) == len(names)
    assert json.loads(statistics_key(example())) == ["r", "0", "wine", "7"]
