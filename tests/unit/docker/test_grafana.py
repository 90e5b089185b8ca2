"""The dashboard and its provisioning."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.expressions import DASHBOARD, dashboard_expressions, metrics_of

ROOT = Path(__file__).resolve().parents[3]
GRAFANA = ROOT / "docker" / "grafana"


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool (Debian: apt install prometheus)"
)
def test_every_expression_is_one(tmp_path: Path) -> None:
    rules = [
        {"record": f"expression:{number}", "expr": one.text}
        for number, one in enumerate(dashboard_expressions())
    ]
    assert len(rules) > 25
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", "rules.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_every_metric_is_explained() -> None:
    explained = set(
        re.findall(
            r"`((?:flink|model_serving)_\w+)`", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
        )
    )
    assert {metric for one in dashboard_expressions() for metric in metrics_of(one)} - explained == set()


def test_the_data_source_is_a_variable_everywhere(dashboard: dict[str, Any]) -> None:
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert variables["datasource"]["query"] == "prometheus"
    queries = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked = [*queries, *dashboard["annotations"]["list"], variables["data_type"], variables["job_name"]]
    assert {one["datasource"]["uid"] for one in asked} == {"${datasource}"}
    named = set(re.findall(r"\$(\w+)", " ".join(one["expr"] for one in queries)))
    assert named == {"data_type", "job_name", "__rate_interval"}


def test_no_panel_hides_another(dashboard: dict[str, Any]) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    for (one, a), (other, b) in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart = apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, f"{one} and {other}"
    assert max(place["x"] + place["w"] for _, place in places) == 24


def test_it_is_found_where_the_container_has_it() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    mounts = dict(volume.split(":")[:2] for volume in compose["grafana"]["volumes"])
    assert {source: (ROOT / "docker" / source).exists() for source in mounts} == dict.fromkeys(mounts, True)
    (provider,) = yaml.safe_load(
        (GRAFANA / "provisioning" / "dashboards" / "model-serving.yml").read_text(encoding="utf-8")
    )["providers"]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    (source,) = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text(encoding="utf-8")
    )["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose
