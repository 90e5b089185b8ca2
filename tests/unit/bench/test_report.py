"""From stored figures to tables and a plot."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest

from bench.errors import BenchError
from bench.plot import Bar, bars
from bench.report import fill_in
from bench.report_machines import machine
from bench.report_tables import TABLES, throughput_bars
from bench.store import Case

SURROUNDINGS: dict[str, Any] = {
    "processor": "P",
    "cores": 2,
    "memory_gib": 8.0,
    "system": "Linux 6",
    "python": "3.11.1",
    "java": "openjdk 17",
    "versions": {"Kafka": "4.1.1"},
    "commit": "abc",
}


def case(
    key: dict[str, str | int], ours: list[dict[str, Any]], peer: list[dict[str, Any]] | None = None
) -> Case:
    rounds = {"ours": ours} | ({"peer": peer} if peer else {})
    return Case(key, "2026-01-02T03:04:05+00:00", {}, rounds, SURROUNDINGS)


def rates(*values: float) -> list[dict[str, Any]]:
    return [{"rate": value, "middle_rate": 2 * value} for value in values]


BACKLOG = case(
    {"variant": "keyed", "model": "glm", "set": "sample", "records": 400_000},
    rates(9_000.0, 10_000.0, 12_000.0),
    rates(5_000.0, 4_000.0, 6_000.0),
)


def test_a_machine_that_shares_by_thread_is_another_machine() -> None:
    by_thread = replace(BACKLOG, environment=SURROUNDINGS | {"by_session": False})
    lines = [line for line in machine({"backlog": [BACKLOG, by_thread]}) if line.startswith("* ")]
    assert ["shared by thread" in line for line in lines] == [False, True]


def test_a_backlog_has_the_spread_of_both_systems_and_the_ratio_of_the_medians() -> None:
    assert TABLES["backlog"]([BACKLOG]) == [
        "Models of the set `sample`:",
        "",
        (
            "| records | model | variant | this project | middle 80 % | JVM peer | middle 80 % "
            "| ratio | ratio, middle |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
        (
            "| 400,000 | glm | keyed | 9.0 / 10.0 / 12.0 k | 18.0 / 20.0 / 24.0 k "
            "| 4.0 / 5.0 / 6.0 k | 8.0 / 10.0 / 12.0 k | 2.00 | 2.00 |"
        ),
    ]


def test_without_a_peer_there_is_no_ratio_and_other_flags_are_named() -> None:
    alone = case({**BACKLOG.key, "flags": "--parallelism 2"}, rates(10_000.0))
    assert TABLES["backlog"]([alone])[-1] == (
        "| 400,000 | glm | keyed, `--parallelism 2` | 10.0 / 10.0 / 10.0 k | 20.0 / 20.0 / 20.0 k "
        "| – | – | – | – |"
    )


def test_a_case_with_several_data_types_or_partitions_says_so() -> None:
    several = case({**BACKLOG.key, "types": 10, "partitions": 2}, rates(10_000.0))
    row = TABLES["backlog"]([several])[-1]
    assert row.startswith("| 400,000 | glm | keyed, 10 data types, 2 partitions | 10.0 / 10.0 / 10.0 k |")


def test_compared_flags_have_their_cost() -> None:
    key: dict[str, str | int] = {**BACKLOG.key, "compared": "--delivery exactly-once"}
    measured = replace(
        case(key, rates(9_000.0, 10_000.0, 12_000.0)),
        rounds={"ours": rates(9_000.0, 10_000.0, 12_000.0), "compared": rates(8_000.0, 9_000.0, 9_500.0)},
    )
    assert TABLES["compared"]([measured])[2:] == [
        (
            "| records | model | variant | without | more flags | with them | change of the rate "
            "| change of the processor time | µs a record without |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
        (
            "| 400,000 | glm | keyed | 9.0 / 10.0 / 12.0 k | `--delivery exactly-once` "
            "| 8.0 / 9.0 / 9.5 k | -11.1% (-16.0% to -10.6%) | – | – |"
        ),
    ]


def test_compared_flags_have_their_cost_in_processor_time() -> None:
    def rounds(*times: float) -> list[dict[str, float]]:
        return [one | {"processor_us": time} for one, time in zip(rates(*times), times, strict=True)]

    measured = replace(
        case({**BACKLOG.key, "compared": "--stats-topic ''"}, []),
        rounds={"ours": rounds(4.0, 5.0, 7.0), "compared": rounds(4.0, 4.9, 6.0)},
    )
    line = TABLES["compared"]([measured])[-1]
    assert line.endswith("| -2.0% (-8.1% to -1.0%) | 4.00 / 5.00 / 7.00 |")


def test_jobs_beside_each_other_are_compared_pair_by_pair() -> None:
    measured = replace(
        case({"variant": "server", "model": "glm", "set": "sample", "compared": "--stats-topic ''"}, []),
        rounds={
            "ours": [{"processor_us": [2.0, 4.0], "p50_ms": [2.0], "p99_ms": [10.0]}] * 2,
            "compared": [{"processor_us": [1.0, 2.0], "p50_ms": [2.0], "p99_ms": [9.5]}] * 2,
        },
    )
    assert TABLES["beside"]([measured])[-1] == (
        "| glm | server | `--stats-topic ''` | 3.00 → 1.50: -50.0% (-50.0% to -50.0%) "
        "| 2.0 → 2.0: +0.0% (+0.0% to +0.0%) | 10.0 → 9.5: -5.0% (-5.0% to -5.0%) |"
    )


def test_latency_has_a_row_for_each_system() -> None:
    figures = {"rate": 1000.0, "p50": 4.0, "p90": 6.0, "p99": 9.0, "max": 20.0}
    measured = case(
        {"variant": "keyed", "model": "glm", "set": "sample", "rate": "1000"},
        [figures],
        [{**figures, "p99": 6.0}],
    )
    assert TABLES["latency"]([measured])[2:] == [
        "| 1,000 | glm | keyed | this project | 4 / 4 / 4 | 6 / 6 / 6 | 9 / 9 / 9 | 20 / 20 / 20 | 1.50 |",
        "| 1,000 | glm | keyed | JVM peer | 4 / 4 / 4 | 6 / 6 / 6 | 6 / 6 / 6 | 20 / 20 / 20 |  |",
    ]


def test_latency_with_more_flags_stands_beside_latency_without() -> None:
    figures = {"rate": 1000.0, "p50": 4.0, "p99": 9.0, "max": 20.0, "cores": {"system": 0.7, "kafka": 0.4}}
    key: dict[str, str | int] = {
        "variant": "keyed",
        "model": "glm",
        "rate": "1000",
        "compared": "--parallelism 2",
    }
    measured = replace(
        case(key, []),
        rounds={"ours": [figures], "compared": [{**figures, "cores": {"system": 0.5, "kafka": 0.3}}]},
    )
    assert TABLES["compared-latency"]([measured])[-1] == (
        "| 1,000 | glm | keyed | `--parallelism 2` | 4 / 4 / 4 (4 / 4 / 4) | 9 / 9 / 9 (9 / 9 / 9) "
        "| 20 / 20 / 20 (20 / 20 / 20) | 0.50 / 0.50 / 0.50 (0.70 / 0.70 / 0.70) "
        "| 0.30 / 0.30 / 0.30 (0.40 / 0.40 / 0.40) |"
    )


def test_swaps_stand_beside_the_quiet_time() -> None:
    key: dict[str, str | int] = {"variant": "keyed", "model": "table-large", "rate": "1000"}
    quiet = {"longest_gap_ms": 10.0, "p99": 9.0, "max": 12.0}
    worst = {"longest_gap_ms": 40.0, "p99": 30.0, "max": 45.0, "activation_lag_ms": 1500}
    arrivals = {"arrival_gap_ms": 20.0}
    measured = [
        case(key, [{"rate": 1000.0, "quiet": quiet | more, "worst": worst | more}]) for more in ({}, arrivals)
    ]
    before = "| 1,000 | table-large | keyed | this project | 40 / 40 / 40 (10 / 10 / 10) "
    after = "| 30 / 30 / 30 (9 / 9 / 9) | 45 / 45 / 45 (12 / 12 / 12) | 1,500 / 1,500 / 1,500 |"
    # Rounds that were stored before this was measured have no gap of records.
    assert TABLES["swap"](measured)[2:] == [
        f"{before}| – {after}",
        f"{before}| 20 / 20 / 20 (20 / 20 / 20) {after}",
    ]


def test_memory_has_a_row_for_each_round() -> None:
    drift = {"mean": 1000.0, "low": -1.0, "high": 2.0, "trend": 0.5}
    measured = case(
        {"variant": "keyed", "model": "glm", "rate": "half"},
        [{"rate": 5_000.0, "serving": drift, "trials_mib": 600.0}],
    )
    assert TABLES["memory"]([measured])[2:] == [
        "| 5,000 | glm | keyed | 1,000 | -1.0 to +2.0 % | +0.5 % | 600 |"
    ]


def test_scaling_names_what_varies() -> None:
    key: dict[str, str | int] = {"kind": "types", "types": 100, "variant": "keyed", "model": "regression"}
    assert TABLES["scaling"]([case(key, rates(1_000.0))])[2:] == [
        "| types | 100 | regression | keyed | 1.0 / 1.0 / 1.0 k | 2.0 / 2.0 / 2.0 k |"
    ]


def test_engines_have_a_column_for_each_batch() -> None:
    figures = [{"load_ms": 12.0, "batches": {"1": value, "64": 0.5}} for value in (3.0, 1.0, 2.0)]
    assert TABLES["engines"]([case({"model": "glm", "set": "seed"}, figures)])[2:] == [
        "| model | load, ms | 1 | 64 |",
        "|---|---|---|---|",
        "| glm | 12 | 1.00 / 2.00 / 3.00 | 0.50 / 0.50 / 0.50 |",
    ]


def test_each_machine_is_said_once_with_what_was_measured_there() -> None:
    later = replace(BACKLOG, date="2026-01-03T03:04:05+00:00", environment=SURROUNDINGS | {"commit": "def"})
    elsewhere = replace(later, environment=SURROUNDINGS | {"processor": "Q"})
    types = replace(later, key={"kind": "types", "types": 100, "model": "regression"})
    assert machine({"backlog": [BACKLOG, elsewhere, BACKLOG], "scaling": [types]}) == [
        "* P, 2 cores, 8.0 GiB, Linux 6; Python 3.11.1, openjdk 17; Kafka 4.1.1",
        "  * 2026-01-02, commit abc: backlog (glm 400,000)",
        "  * 2026-01-03, commit def: scaling (types 100)",
        "* Q, 2 cores, 8.0 GiB, Linux 6; Python 3.11.1, openjdk 17; Kafka 4.1.1",
        "  * 2026-01-03, commit abc: backlog (glm 400,000)",
    ]
    assert machine({"backlog": []}) == ["Not measured yet."]


def test_the_plot_is_of_the_longest_backlog() -> None:
    longer = case({**BACKLOG.key, "records": 2_000_000}, rates(7_000.0))
    assert throughput_bars([BACKLOG, longer]) == {"glm, keyed": [Bar("this project", 7.0, 7.0, 7.0)]}


def test_the_plot_has_only_the_usual_load() -> None:
    several = case({**BACKLOG.key, "records": 2_000_000, "types": 10}, rates(7_000.0))
    assert throughput_bars([several]) == {}
    assert throughput_bars([BACKLOG, several]) == throughput_bars([BACKLOG])


def test_bars_are_as_long_as_their_medians() -> None:
    picture = ET.fromstring(bars("a < b", {"x": [Bar("one", 1, 2, 3), Bar("two", 4, 4, 4)]}))
    space = "{http://www.w3.org/2000/svg}"
    widths = [
        float(shape.attrib["width"])
        for shape in picture.findall(f"{space}rect")
        if shape.attrib["height"] == "13"
    ]
    assert len(widths) == 2
    assert widths[1] == pytest.approx(2 * widths[0])
    assert picture.findtext(f"{space}title") == "a < b"


def test_what_stood_between_the_markers_is_replaced() -> None:
    text = "before\n<!-- a -->\nold\n<!-- /a -->\nafter\n"
    assert fill_in(text, "a", ["new", r"\1"]) == "before\n<!-- a -->\nnew\n\\1\n<!-- /a -->\nafter\n"
    with pytest.raises(BenchError, match="no markers <!-- b -->"):
        fill_in(text, "b", [])


def test_the_suites_have_a_row_for_each_figure_with_its_target() -> None:
    figures = [
        {
            "figure": "a record alone",
            "unit": "µs",
            "digits": 0,
            "most": 30.0,
            "models": 415,
            "within": 0.75,
            "p25": 9.4,
            "median": 20.6,
            "p75": 30.0,
            "max": 1234.5,
        },
        {
            "figure": "a ratio",
            "unit": "",
            "digits": 2,
            "most": None,
            "models": 85,
            "within": None,
            "p25": 0.9,
            "median": 1.125,
            "p75": 1.3,
            "max": 2.0,
        },
    ]
    assert TABLES["suites"]([case({"model": "PMML documents", "set": "suite"}, figures)]) == [
        "PMML documents of the set `suite`:",
        "",
        "| figure | models | quarter | median | three quarters | greatest | target |",
        "|---|---|---|---|---|---|---|",
        "| a record alone, µs | 415 | 9 | 21 | 30 | 1,234 | ≤ 30 (so are 75%) |",
        "| a ratio | 85 | 0.90 | 1.12 | 1.30 | 2.00 |  |",
    ]


def test_the_query_server_has_latencies_and_memory() -> None:
    key: dict[str, str | int] = {"rate": 200, "streams": 10, "records": 50_000, "seconds": 600}
    figures = {
        "p50_ms": 2.8,
        "p99_ms": 28.0,
        "p999_ms": 69.9,
        "max_ms": 78.8,
        "results_s": 50_017.1,
        "processor_ms_a_request": 1.434,
        "memory_mb": {"mean": 79.8, "low": -1.6, "high": 0.3, "trend": 1.0},
    }
    measured = case(key, [figures])
    assert TABLES["query"]([measured])[2:] == [
        "| 200 | 50,017 | 600 | 2.8 | 28.0 | 69.9 | 78.8 | 1.43 | 80 | -1.6 to +0.3 % | +1.0 % |"
    ]
    assert machine({"query": [measured]})[-1].endswith("query (200 requests/s)")


def test_model_servers_have_a_row_for_each_protocol() -> None:
    figures = [{"batches": {"1": value, "512": 30_000.4}} for value in (700.0, 500.0, 600.0)]
    assert TABLES["remote"]([case({"model": "TFSERVING"}, figures)]) == [
        "| protocol | 1 | 512 |",
        "|---|---|---|",
        "| TFSERVING | 500 / 600 / 700 | 30,000 / 30,000 / 30,000 |",
    ]


def test_what_statistics_cost_has_a_row_for_each_size_of_batch() -> None:
    measured = replace(
        case({"model": "glm", "set": "sample"}, []),
        rounds={
            "ours": [{"batches": {"1": 22.0, "500": 1.1}}] * 3,
            "compared": [{"batches": {"1": 20.0, "500": 1.0}}] * 3,
        },
    )
    assert TABLES["counting"]([measured])[2:] == [
        "| glm | 1 | 20.000 | 22.000 | +10.0% (+10.0% to +10.0%) |",
        "| glm | 500 | 1.000 | 1.100 | +10.0% (+10.0% to +10.0%) |",
    ]


def test_latencies_around_reports_stand_beside_the_others() -> None:
    names = ("mean", "p50", "p99")
    round_ = {f"others_{name}_ms": 10.0 for name in names} | {f"all_{name}_ms": 10.2 for name in names}
    measured = case({"variant": "keyed", "model": "glm", "set": "sample", "rate": "1000"}, [round_])
    assert TABLES["reporting"]([measured])[2:] == [
        "| 1000 | glm | keyed | 10.00 → 10.20: +2.0% | 10.0 → 10.2: +2.0% | 10.0 → 10.2: +2.0% |"
    ]
