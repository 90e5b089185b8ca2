"""A recorded scenario for the dashboard: what a query server would answer, the same on every run."""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

__all__ = ["HOSTILE", "NOW", "Scenario", "data_type", "letter", "usual_scenario", "version"]

Document = dict[str, Any]

NOW = 1_795_000_000_000
"""The time of the scenario, epoch milliseconds: 2026-11-18."""

HOSTILE = (
    "<script>window.attacked = true</script>",
    "<img src=x onerror='window.attacked = true'>",
    "\u202egnp.elpmis",
    "مرحبا بالعالم",
    "nul\x00 bell\x07 line\nend\ttab",
    "zero\u200bwidth\ufeff",
    "a/b?c#d%2Fe&f=g;h",
    "..",
    "  two  spaces  ",
    "Z̴̙̤̞͉͚̯̞̠͍͑ͫ̓ͪ̂ͫ̽A̴̵̜̰͔ͫ͗͢",
    "javascript:alert(1)",
    "👩\u200d🔬 science",
    "x" * 100_000,
)
"""Names that a publisher of models may choose."""

_FIELDS = (
    ("fixed_acidity", 8.32, 0.02),
    ("volatile_acidity", 0.53, 0.14),
    ("residual_sugar", 2.54, 0.05),
    ("total_sulfur_dioxide", 46.5, 0.31),
    ("alcohol", 10.42, 0.01),
)


@dataclass(slots=True)
class Scenario:
    """What the server answers. A test may change it between two requests."""

    data_types: dict[str, Document]
    versions: dict[str, list[Document]] = field(default_factory=dict)
    series: dict[str, Document] = field(default_factory=dict)
    letters: list[Document] = field(default_factory=list)

    def add(self, document: Document, versions: list[Document] | None = None) -> None:
        """Adds a data type, or changes what is known of it."""
        self.data_types[document["dataType"]] = document
        if versions is not None:
            self.versions[document["dataType"]] = versions


def summary(median: float, count: int = 1000) -> Document:
    """A distribution around a median, milliseconds."""
    return {
        "count": count,
        "sum": median * count * 1.2,
        "mean": median * 1.2,
        "min": median / 4,
        "max": median * 40,
        "p50": median,
        "p90": median * 1.8,
        "p99": median * 5,
        "p999": median * 17,
    }


def data_type(name: str, **changes: Any) -> Document:
    """What is known of a data type that a model serves. ``serving`` changes single fields of the model."""
    serving = {
        "name": "wine random forest",
        "description": "Quality of red wine from eleven measurements",
        "version": "28066910fdf8",
        "modelType": 2,
        "sha256": hashlib.sha256(b"forest").hexdigest(),
        "size": 187_412,
        "previous": "6d9a6e9cf04f",
        "since": NOW - 340_000,
        "loadMs": 218.4,
        "subtasks": [0, 1],
        "detail": "",
    }
    model = changes.pop("serving", {})
    return {
        "dataType": name,
        "id": f"sha256:{hashlib.sha256(name.encode()).hexdigest()}",
        "state": "ACTIVE" if model is not None else "NONE",
        "serving": None if model is None else serving | model,
        "rejected": [],
        "waiting": 0,
        "throughput": 201.4,
        "scored": 68_312,
        "failed": 0,
        "missing": 0,
        "withoutModel": 0,
        "scoring": summary(0.0612),
        "latency": summary(3.4),
        "deadLetters": {},
        "heard": NOW - 800,
    } | changes


def version(name: str, number: str, **changes: Any) -> Document:
    """A version with its statistics."""
    return {
        "name": name,
        "version": number,
        "description": "",
        "modelType": 2,
        "sha256": hashlib.sha256(number.encode()).hexdigest(),
        "serving": False,
        "since": NOW - 640_000,
        "until": NOW - 340_000,
        "scored": 60_120,
        "failed": 0,
        "missing": 0,
        "throughput": 0.0,
        "scoring": summary(0.034),
        "latency": summary(3.1),
        "results": {
            "labels": {"4": 1_203, "5": 27_210, "6": 24_980, "7": 6_313, "8": 414},
            "otherLabels": 0,
            "numbers": summary(5.0),
            "mean": 5.47,
            "deviation": 0.71,
            "histogram": [],
        },
        "fields": [_drift(at, *one) for at, one in enumerate(_FIELDS)],
        "lately": [_drift(at, name, mean, psi + 0.03) for at, (name, mean, psi) in enumerate(_FIELDS)],
    } | changes


def _drift(at: int, name: str, mean: float, psi: float) -> Document:
    return {
        "field": name,
        "count": 60_120,
        "missingShare": 0.0125 * (at % 2),
        "mean": mean * (1 + psi / 2),
        "psi": psi,
        "reference": {"source": "examples", "count": 64, "missingShare": 0.0, "mean": mean},
    }


def letter(at: int, **changes: Any) -> Document:
    """A dead letter, ``at`` seconds before now."""
    payload = b"7.4;0.7;0;1.9;0.076;11;34;0.9978;3.51;0.56;\xff\xfe" + bytes(range(24))
    return {
        "ts": NOW - at * 1000,
        "reason": "INVALID_RECORD",
        "detail": "field 'alcohol' has wire type 0 (varint), a double belongs there",
        "dataType": "wine",
        "model": "",
        "version": "",
        "topic": "mdata",
        "partition": 0,
        "offset": 10_000 - at,
        "size": 1_024,
        "payload": base64.b64encode(payload).decode(),
    } | changes


def _series(name: str) -> Document:
    start = NOW - 600_000
    points = []
    for second in range(0, 600, 5):
        # A swap to a larger model at 260 s; the first records of a model are slower.
        since_swap = second - 260
        median = 3.1 if since_swap < 0 else 3.4
        high = median * (3 + math.sin(second / 37)) + 120 * math.exp(-max(since_swap, 0) / 12) * (
            since_swap >= 0
        )
        wave = 200 + 12 * math.sin(second / 41) + 5 * math.sin(second / 7)
        points.append(
            {"ts": start + second * 1000, "throughput": wave, "failed": 0.0, "p50": median, "p99": high}
        )
    swaps = [
        _swap(start + 3_000, "wine decision tree", "6d9a6e9cf04f", ""),
        _swap(start + 260_000, "wine random forest", "28066910fdf8", "6d9a6e9cf04f"),
    ]
    return {"dataType": name, "intervalS": 5, "points": points, "swaps": swaps}


def _swap(at: int, name: str, number: str, previous: str) -> Document:
    return {"ts": at, "state": "ACTIVE", "name": name, "version": number, "previous": previous}


def usual_scenario() -> Scenario:
    """Data types: one that swapped, one with a refused model, one without a model, one with numbers."""
    labels = {"4": 902, "5": 30_115, "6": 27_804, "7": 9_102, "8": 389}
    forest = version(
        "wine random forest", "28066910fdf8", serving=True, since=NOW - 340_000, until=0, scored=68_312
    )
    forest["results"] = {**forest["results"], "labels": labels, "mean": 5.52, "deviation": 0.68}
    tree = version("wine decision tree", "6d9a6e9cf04f")
    heights = [40, 220, 810, 2_100, 4_800, 8_900, 11_200, 9_700, 6_100, 3_000, 1_200, 410, 120, 30]
    bins = [{"from": 20.0 + 10 * at, "to": 30.0 + 10 * at, "count": one} for at, one in enumerate(heights)]
    numbers = {"labels": {}, "otherLabels": 0, "mean": 84.2, "deviation": 21.7, "histogram": bins}
    price = version("house price", "v12", serving=True, until=0, results=numbers, fields=[], modelType=3)
    refused = {
        "name": "fraud network",
        "version": "2026-11-18",
        "detail": "example 3 gives 0.12, expected 0.91 ± 0.05",
        "ts": NOW - 95_000,
    }
    fraud = {"name": "fraud gradient boosting", "version": "2026-11-02", "modelType": 3}
    scenario = Scenario({})
    scenario.add(data_type("wine", deadLetters={"INVALID_RECORD": 14}), [forest, tree])
    scenario.add(
        data_type(
            "card-payments",
            serving=fraud,
            rejected=[refused],
            throughput=1_830.0,
            scoring=summary(0.41),
            latency=summary(11.7),
        ),
        [],
    )
    house = {"name": "house price", "version": "v12", "previous": "", "modelType": 3}
    scenario.add(data_type("house-prices", serving=house, throughput=3.25), [price])
    scenario.add(
        data_type(
            "turbine-sensors",
            serving=None,
            waiting=4_210,
            throughput=0.0,
            scored=0,
            scoring=summary(0, 0),
            latency=summary(0, 0),
            deadLetters={"NO_MODEL": 37},
        ),
        [],
    )
    scenario.series["wine"] = _series("wine")
    scenario.letters = [
        letter(12),
        letter(31, reason="UNPARSABLE", detail="not a WineRecord: truncated message", dataType=""),
        letter(
            95,
            reason="MODEL_REJECTED",
            detail=refused["detail"],
            dataType="card-payments",
            model="fraud network",
            version="2026-11-18",
            topic="models",
            size=2_411_724,
        ),
    ]
    return scenario
