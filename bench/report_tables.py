"""Makes Markdown tables of the stored figures, with a function for each section. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.figures import Ratio, paired, spread
from bench.plot import Bar
from bench.store import Case

__all__ = ["TABLES", "throughput_bars"]


def _backlog(cases: Sequence[Case]) -> list[str]:
    rows = [
        [
            f"{case.key['records']:,}",
            str(case.key["model"]),
            _variant(case),
            _rates(case, "ours", "rate"),
            _rates(case, "ours", "middle_rate"),
            _rates(case, "peer", "rate"),
            _rates(case, "peer", "middle_rate"),
            _ratio(case, "rate"),
            _ratio(case, "middle_rate"),
        ]
        for case in cases
    ]
    head = "records|model|variant|this project|middle 80 %|JVM peer|middle 80 %|ratio|ratio, middle"
    return _by_set(cases, rows, head)


def _compared(cases: Sequence[Case]) -> list[str]:
    rows = [
        [
            f"{case.key['records']:,}",
            str(case.key["model"]),
            _variant(case),
            _rates(case, "ours", "rate"),
            f"`{case.key['compared']}`",
            _rates(case, "compared", "rate"),
            _change(_pairs(case, "rate")),
            _change(_pairs(case, "processor_us")),
            _three(case.values("ours", "processor_us"), digits=2),
        ]
        for case in cases
    ]
    head = "records|model|variant|without|more flags|with them|change of the rate"
    return _by_set(cases, rows, f"{head}|change of the processor time|µs a record without")


def _beside(cases: Sequence[Case]) -> list[str]:
    rows = []
    for case in cases:
        cells = []
        for name, digits in (("processor_us", 2), ("p50_ms", 1), ("p99_ms", 1)):
            ours, compared = (
                [value for round_ in case.rounds[system] for value in round_[name]]
                for system in ("ours", "compared")
            )
            medians = " → ".join(f"{spread(values).median:.{digits}f}" for values in (ours, compared))
            cells.append(f"{medians}: {_change(paired(ours, compared))}")
        rows.append([str(case.key["model"]), _variant(case), f"`{case.key['compared']}`", *cells])
    return _by_set(cases, rows, "model|variant|flags|processor time, µs a record|p50, ms|p99, ms")


def _counting(cases: Sequence[Case]) -> list[str]:
    sizes = sorted({int(size) for case in cases for size in case.rounds["ours"][0]["batches"]})
    rows = []
    for case in cases:
        for size in sizes:
            ours, without = (case.values(system, f"batches.{size}") for system in ("ours", "compared"))
            medians = [f"{spread(values).median:.3f}" for values in (without, ours)]
            rows.append([str(case.key["model"]), f"{size:,}", *medians, _change(paired(without, ours))])
    return _table("model|records a batch|µs a record without statistics|with them|change", rows)


def _reporting(cases: Sequence[Case]) -> list[str]:
    rows = []
    for case in cases:
        cells = []
        for name, digits in (("mean", 2), ("p50", 1), ("p99", 1)):
            others, all_ = (case.values("ours", f"{part}_{name}_ms") for part in ("others", "all"))
            medians = " → ".join(f"{spread(values).median:.{digits}f}" for values in (others, all_))
            cells.append(f"{medians}: {paired(others, all_).median - 1:+.1%}")
        rows.append([str(case.key["rate"]), str(case.key["model"]), _variant(case), *cells])
    return _table("records/s|model|variant|mean, ms|p50, ms|p99, ms", rows)


def _pairs(case: Case, figure: str) -> Ratio | None:
    """What the flags change, round by round; None where a round has no such figure."""
    ours, compared = case.values("ours", figure), case.values("compared", figure)
    return paired(ours, compared) if ours and len(ours) == len(compared) else None


def _change(ratio: Ratio | None) -> str:
    """Returns the median change, and the quartiles in brackets."""
    if ratio is None:
        return "–"
    low, median, high = (f"{value - 1:+.1%}" for value in (ratio.low, ratio.median, ratio.high))
    return f"{median} ({low} to {high})"


def _scaling(cases: Sequence[Case]) -> list[str]:
    rows = [
        [
            str(case.key["kind"]),
            str(case.key.get("parallelism", case.key.get("types", ""))),
            str(case.key["model"]),
            _variant(case),
            _rates(case, "ours", "rate"),
            _rates(case, "ours", "middle_rate"),
        ]
        for case in cases
    ]
    return _table("what varies|number|model|variant|records/s|middle 80 %", rows)


def _latency(cases: Sequence[Case]) -> list[str]:
    rows = []
    for case in cases:
        for system in case.rounds:
            rate = case.values(system, "rate")[0]
            ratio = _ratio(case, "p99") if system == "ours" else ""
            rows.append(
                [
                    f"{rate:,.0f}" + (" (half)" if case.key["rate"] == "half" else ""),
                    str(case.key["model"]),
                    _variant(case),
                    "this project" if system == "ours" else "JVM peer",
                    *(_three(case.values(system, name)) for name in ("p50", "p90", "p99", "max")),
                    ratio,
                ]
            )
    return _table("records/s|model|variant|system|p50|p90|p99|max|p99 ratio", rows)


def _compared_latency(cases: Sequence[Case]) -> list[str]:
    rows = []
    for case in cases:
        cells = []
        for name, digits in (("p50", 0), ("p99", 0), ("max", 0), ("cores.system", 2), ("cores.kafka", 2)):
            with_flags, without = (
                _three(case.values(system, name), digits=digits) for system in ("compared", "ours")
            )
            cells.append(f"{with_flags} ({without})")
        rate = f"{case.values('ours', 'rate')[0]:,.0f}"
        rows.append([rate, str(case.key["model"]), _variant(case), f"`{case.key['compared']}`", *cells])
    return _table("records/s|model|variant|flags|p50|p99|max|cores|Kafka's cores", rows)


def _swap(cases: Sequence[Case]) -> list[str]:
    rows = [
        [
            f"{case.values(system, 'rate')[0]:,.0f}",
            str(case.key["model"]),
            _variant(case),
            "this project" if system == "ours" else "JVM peer",
            *(
                _beside_quiet(case, system, name)
                for name in ("longest_gap_ms", "arrival_gap_ms", "p99", "max")
            ),
            _three(case.values(system, "worst.activation_lag_ms")),
        ]
        for case in cases
        for system in case.rounds
    ]
    return _table("records/s|model|variant|system|longest gap|of records|p99|max|activation lag", rows)


def _memory(cases: Sequence[Case]) -> list[str]:
    rows = [
        [
            f"{round_['rate']:,.0f}",
            str(case.key["model"]),
            _variant(case),
            f"{round_['serving']['mean']:,.0f}",
            f"{round_['serving']['low']:+.1f} to {round_['serving']['high']:+.1f} %",
            f"{round_['serving']['trend']:+.1f} %",
            f"{round_['trials_mib']:,.0f}",
        ]
        for case in cases
        for round_ in case.rounds["ours"]
    ]
    return _table(
        "records/s|model|variant|RSS of what serves, MiB|least and greatest|trend|RSS for trials, MiB", rows
    )


def _engines(cases: Sequence[Case]) -> list[str]:
    sizes = sorted({int(size) for case in cases for size in case.rounds["ours"][0]["batches"]})
    rows = [
        [
            str(case.key["model"]),
            f"{case.values('ours', 'load_ms')[0]:,.0f}",
            *(_three(case.values("ours", f"batches.{size}"), digits=2) for size in sizes),
        ]
        for case in cases
    ]
    return _by_set(cases, rows, f"model|load, ms|{'|'.join(map(str, sizes))}")


def _remote(cases: Sequence[Case]) -> list[str]:
    sizes = sorted({int(size) for case in cases for size in case.rounds["ours"][0]["batches"]})
    rows = [
        [str(case.key["model"]), *(_three(case.values("ours", f"batches.{size}")) for size in sizes)]
        for case in cases
    ]
    return _table(f"protocol|{'|'.join(map(str, sizes))}", rows)


def _suites(cases: Sequence[Case]) -> list[str]:
    lines: list[str] = []
    for case in cases:
        rows = [_figure_of_models(figure) for figure in case.rounds["ours"]]
        title = f"{case.key['model']} of the set `{case.key['set']}`:"
        lines += ["", title, "", *_table("figure|models|quarter|median|three quarters|greatest|target", rows)]
    return lines[1:]


def _figure_of_models(figure: Mapping[str, Any]) -> list[str]:
    unit = f", {figure['unit']}" if figure["unit"] else ""
    target = "" if figure["most"] is None else f"≤ {figure['most']:g} (so are {figure['within']:.0%})"
    values = [f"{figure[name]:,.{figure['digits']}f}" for name in ("p25", "median", "p75", "max")]
    return [f"{figure['figure']}{unit}", str(figure["models"]), *values, target]


def _query(cases: Sequence[Case]) -> list[str]:
    rows = []
    for case in cases:
        # Each case is one long round.
        found = {name: case.values("ours", name)[0] for name in _OF_QUERIES}
        rows.append(
            [
                f"{case.key['rate']:,}",
                f"{found['results_s']:,.0f}",
                f"{case.key['seconds']:,}",
                *(f"{found[f'{name}_ms']:,.1f}" for name in ("p50", "p99", "p999", "max")),
                f"{found['processor_ms_a_request']:.2f}",
                f"{found['memory_mb.mean']:,.0f}",
                f"{found['memory_mb.low']:+.1f} to {found['memory_mb.high']:+.1f} %",
                f"{found['memory_mb.trend']:+.1f} %",
            ]
        )
    head = "requests/s|results/s|seconds|p50|p99|p99.9|max|processor time|RSS, MiB|least and greatest|trend"
    return _table(head, rows)


_OF_QUERIES = (
    "results_s",
    *("p50_ms", "p99_ms", "p999_ms", "max_ms", "processor_ms_a_request"),
    *("memory_mb.mean", "memory_mb.low", "memory_mb.high", "memory_mb.trend"),
)


TABLES: dict[str, Callable[[Sequence[Case]], list[str]]] = {
    "backlog": _backlog,
    "compared": _compared,
    "beside": _beside,
    "counting": _counting,
    "reporting": _reporting,
    "latency": _latency,
    "compared-latency": _compared_latency,
    "memory": _memory,
    "swap": _swap,
    "scaling": _scaling,
    "engines": _engines,
    "remote": _remote,
    "query": _query,
    "suites": _suites,
}
"""The function for the table of each section."""


def throughput_bars(cases: Sequence[Case]) -> dict[str, list[Bar]]:
    """Returns a group for each model and variant of the longest backlog, a bar a system (thousands)."""
    usual = [case for case in cases if not _NOT_USUAL & case.key.keys()]
    if not usual:
        return {}
    longest = max(int(case.key["records"]) for case in usual)
    chosen = [case for case in usual if case.key["records"] == longest]
    # If there are two sets of models, the plot shows only `seed`, which is the last by name.
    last = max(str(case.key["set"]) for case in chosen)
    groups = {}
    for case in chosen:
        if case.key["set"] == last:
            groups[f"{case.key['model']}, {case.key['variant']}"] = [
                Bar(name, of.minimum / 1000, of.median / 1000, of.maximum / 1000)
                for system, name in (("ours", "this project"), ("peer", "JVM peer"))
                if (values := case.values(system, "rate"))
                for of in (spread(values),)
            ]
    return groups


_NOT_USUAL = {"flags", "types", "partitions"}
"""The parts of a key that only cases have which differ from the usual one."""


def _variant(case: Case) -> str:
    """Returns the variant of the job, with what is not the default: data types, partitions, flags."""
    key = case.key
    parts = [str(key["variant"])]
    # In the section on scaling, the number of data types has a column.
    if "types" in key and "kind" not in key:
        parts.append(f"{key['types']} data types")
    if "partitions" in key:
        parts.append(f"{key['partitions']} partitions")
    if "flags" in key:
        parts.append(f"`{key['flags']}`")
    return ", ".join(parts)


def _by_set(cases: Sequence[Case], rows: Sequence[list[str]], head: str) -> list[str]:
    lines: list[str] = []
    for chosen in _unique(case.key["set"] for case in cases):
        of_set = [row for case, row in zip(cases, rows, strict=True) if case.key["set"] == chosen]
        lines += ["", f"Models of the set `{chosen}`:", "", *_table(head, of_set)]
    return lines[1:]


def _table(head: str, rows: Iterable[Sequence[str]]) -> list[str]:
    titles = head.split("|")
    return [
        f"| {' | '.join(titles)} |",
        f"|{'---|' * len(titles)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _rates(case: Case, system: str, figure: str) -> str:
    values = [value / 1000 for value in case.values(system, figure)]
    return f"{_three(values, digits=1)} k" if values else "–"


def _ratio(case: Case, figure: str) -> str:
    ours, peer = case.values("ours", figure), case.values("peer", figure)
    return f"{spread(ours).median / spread(peer).median:.2f}" if ours and peer else "–"


def _beside_quiet(case: Case, system: str, name: str) -> str:
    """Returns a figure of the swaps, and in brackets the figure of the time without a swap."""
    worst, quiet = (_three(case.values(system, f"{part}.{name}")) for part in ("worst", "quiet"))
    return f"{worst} ({quiet})" if case.values(system, f"worst.{name}") else "–"


def _three(values: Sequence[float], *, digits: int = 0) -> str:
    """Returns least / median / greatest."""
    if not values:
        return "–"
    of = spread(values)
    return " / ".join(f"{value:,.{digits}f}" for value in (of.minimum, of.median, of.maximum))


def _unique(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
