"""The expressions of docker/grafana and docker/prometheus, as a Prometheus can be asked for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "ALERT_RULES",
    "DASHBOARD",
    "Expression",
    "alert_expressions",
    "dashboard_expressions",
    "metrics_of",
    "selectors",
]

_DOCKER = Path(__file__).resolve().parents[1] / "docker"
DASHBOARD = _DOCKER / "grafana" / "dashboards" / "model-serving.json"
ALERT_RULES = _DOCKER / "prometheus" / "rules.yml"

# A name, perhaps with matchers of labels, that is not the name of a recording rule (those have a colon).
_SELECTOR = re.compile(r"(?<![\w:])((?:flink|model_serving)_\w+)(?![\w:])(\{[^}]*\})?")


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression, and where it is."""

    place: str
    text: str


def dashboard_expressions(window: str = "1m") -> list[Expression]:
    """Every expression of the dashboard for all data types and jobs; ``window`` is the range of its rates."""
    return [
        Expression(place, _filled(text, window))
        for place, text in _texts(json.loads(DASHBOARD.read_text(encoding="utf-8")), "dashboard")
    ]


def alert_expressions() -> list[Expression]:
    """Every expression of the rules."""
    groups = yaml.safe_load(ALERT_RULES.read_text(encoding="utf-8"))["groups"]
    return [
        Expression(rule.get("alert") or rule["record"], rule["expr"])
        for group in groups
        for rule in group["rules"]
    ]


def selectors(expression: Expression) -> list[str]:
    """The series that an expression reads: names with their matchers."""
    return [name + (labels or "") for name, labels in _SELECTOR.findall(expression.text)]


def metrics_of(expression: Expression) -> set[str]:
    """The metrics that an expression reads, without the endings of a histogram's parts."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name, _ in _SELECTOR.findall(expression.text)}


def _filled(text: str, window: str) -> str:
    return (
        text.replace("$__rate_interval", window)
        .replace('"$data_type"', '".*"')
        .replace('"$job_name"', '".*"')
    )


def _texts(node: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yields each ``expr`` and each query of a variable, with the title or name of what it is in."""
    if isinstance(node, dict):
        place = str(node.get("title") or node.get("name") or place)
        if "expr" in node:
            yield place, node["expr"]
        if "definition" in node:
            yield place, node["definition"].removeprefix("label_values(").rpartition(",")[0]
        for value in node.values():
            yield from _texts(value, place)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value, place)
