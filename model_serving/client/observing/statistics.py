"""Prints the statistics of a data type: versions with times and results, and the drift of the fields."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from model_serving.client.errors import ClientError
from model_serving.client.observing.figures import (
    as_count,
    as_document,
    as_local,
    as_number,
    as_rate,
    as_share,
    percentiles,
)
from model_serving.client.observing.topics import ObservedTopics, check_topics
from model_serving.client.printable import as_cell, as_json, as_moment, printable
from model_serving.client.reading import Form
from model_serving.messaging.access import KafkaAccess
from model_serving.observe.answers import DataType, FieldDrift, Version
from model_serving.observe.board import Topic
from model_serving.observe.reading import read_board

__all__ = ["print_statistics"]

_MOST_LABELS = 20


def print_statistics(kafka: KafkaAccess, topics: ObservedTopics, data_type: str, *, form: Form) -> None:
    """Prints the statistics of one data type. JSON is one object: the data type with its ``versions``.

    Raises:
        BrokerUnreachable: no Kafka broker answers.
        ClientError: there is no statistics topic, or nothing is known of the data type.
    """
    wanted = topics.kinds(Topic.STATUS, Topic.STATISTICS, Topic.DEAD_LETTERS)
    check_topics(kafka, wanted)
    board = read_board(kafka, wanted)
    answer, versions = board.data_type(data_type), board.versions(data_type)
    if answer is None or not (versions or answer.without_model or answer.dead):
        raise ClientError(
            f"no job has reported '{data_type}': see `model-serving status` for what is served, and check "
            "that a job runs"
        )
    if form is Form.JSON:
        print(as_json({**as_document(answer), "versions": as_document(versions)}))
    elif sys.stdout.isatty():
        _print_tables(answer, versions)
    else:
        _print_lines(answer, versions)


def _print_tables(answer: DataType, versions: Sequence[Version]) -> None:
    console = Console()
    console.print(as_cell(_headline(answer)))
    shown = [{**_counts(one), **_moments(one, as_local)} for one in versions]
    _print_table(console, "versions", shown)
    _print_table(console, "milliseconds", [row for one in versions for row in _times(one)])
    _print_table(console, "results", [row for one in versions for row in _results(one)])
    for one in versions:
        lately = {field.field: field for field in one.lately}
        _print_table(
            console,
            f"fields of {one.version}, and of their references in brackets; index: population stability",
            [_drift_row(field, lately.get(field.field)) for field in one.fields],
        )


def _print_table(console: Console, title: str, rows: Sequence[Mapping[str, str]]) -> None:
    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=as_cell(title), title_justify="left")
    for name in rows[0]:
        # Text that does not fit is folded, because by default rich cuts it off.
        table.add_column(name, overflow="fold", no_wrap=name in ("since", "until"))
    for row in rows:
        table.add_row(*map(as_cell, row.values()))
    console.print(table)


def _print_lines(answer: DataType, versions: Sequence[Version]) -> None:
    print(printable(_headline(answer)))
    for version in versions:
        drift = [_drift(version, field) for field in version.fields]
        for row in (_counts(version), *_times(version), *_results(version), *drift):
            print("  ".join(f"{name}={printable(text) or '-'}" for name, text in row.items()))


def _headline(answer: DataType) -> str:
    serving = "nothing serves"
    if answer.state == "ACTIVE":
        serving = f"{answer.name} {answer.version} serves since {as_moment(answer.since)}"
    letters = ", ".join(f"{reason} {as_count(count)}" for reason, count in answer.dead_letters.items())
    return (
        f"{answer.data_type}: {serving}, {as_rate(answer.throughput)} records/s; dead letters: "
        f"{letters or 'none'}; {as_count(answer.waiting)} records wait, {as_count(answer.without_model)} "
        "came without a model"
    )


def _counts(version: Version) -> dict[str, str]:
    return {
        "version": version.version,
        "model": version.name,
        **_moments(version, as_moment),
        "records": as_count(version.scored),
        "records/s": as_rate(version.throughput),
        "failed": as_count(version.failed),
        "missing": as_count(version.missing),
    }


def _moments(version: Version, written: Callable[[int], str]) -> dict[str, str]:
    return {
        "since": written(version.since) if version.since else "",
        "until": "serves" if version.serves else written(version.until) if version.until else "",
    }


def _times(version: Version) -> list[dict[str, str]]:
    return [
        {"version": version.version, "time": name, **percentiles(summary)}
        for name, summary in (("in the model", version.scoring), ("latency", version.latency))
        if summary.count
    ]


def _results(version: Version) -> list[dict[str, str]]:
    results = version.results
    whole = sum(results.labels.values()) + results.other_labels
    shown = list(results.labels.items())[:_MOST_LABELS]
    others = whole - sum(count for _, count in shown)
    labels = [f"{label} {as_share(count / whole)}" for label, count in shown]
    if not (whole or results.numbers.count):
        return []
    numbers = results.numbers
    return [
        {
            "version": version.version,
            "labels": ", ".join([*labels, *([f"others {as_share(others / whole)}"] if others else [])]),
            "mean": as_number(results.mean),
            "deviation": as_number(results.deviation),
            "min": as_number(numbers.min) if numbers.count else "",
            "median": as_number(numbers.p50) if numbers.count else "",
            "max": as_number(numbers.max) if numbers.count else "",
        }
    ]


def _drift(version: Version, field: FieldDrift) -> dict[str, str]:
    lately = next((one for one in version.lately if one.field == field.field), None)
    return {
        "version": version.version,
        "field": field.field,
        "missing": as_share(field.missing_share),
        "mean": as_number(field.mean),
        "reference": f"{as_count(field.reference_count)} {field.source}" if field.source else "",
        "reference missing": as_share(field.reference_missing_share),
        "reference mean": as_number(field.reference_mean),
        "stability index": _index(field),
        "lately": _index(lately),
        "drifted": _drifted(field, lately),
    }


def _drift_row(field: FieldDrift, lately: FieldDrift | None) -> dict[str, str]:
    return {
        "field": field.field,
        "records": as_count(field.count),
        "missing": _beside(as_share(field.missing_share), as_share(field.reference_missing_share)),
        "mean": _beside(as_number(field.mean), as_number(field.reference_mean)),
        "reference": f"{as_count(field.reference_count)} {field.source}" if field.source else "",
        "index": _index(field),
        "lately": _index(lately),
        "drift": _drifted(field, lately),
    }


def _index(field: FieldDrift | None) -> str:
    return "" if field is None or field.psi is None else f"{field.psi:.3f}"


def _drifted(field: FieldDrift, lately: FieldDrift | None) -> str:
    return "DRIFTED" if field.drifted else "LATELY" if lately is not None and lately.drifted else ""


def _beside(now: str, reference: str) -> str:
    return f"{now} ({reference})" if reference else now
