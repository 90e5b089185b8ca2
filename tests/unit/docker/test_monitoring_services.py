"""The services of compose.yaml that only look: query server, Prometheus, Grafana."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from flink_jobs.config import parse_config as parse_job
from model_serving.query.config import parse_config as parse_query

ROOT = Path(__file__).resolve().parents[3]


def scraped() -> dict[str, list[dict[str, Any]]]:
    """The jobs of prometheus.yml by their name."""
    text = (ROOT / "docker" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    return {job["job_name"]: [job] for job in yaml.safe_load(text)["scrape_configs"]}


def test_they_start_only_when_they_are_asked_for(
    monitoring_services: dict[str, Any], compose_file: dict[str, Any]
) -> None:
    assert set(monitoring_services) == {"query", "prometheus", "grafana"}
    needed = {
        other
        for name, service in compose_file["services"].items()
        if name not in monitoring_services
        for other in service.get("depends_on", {})
    }
    assert needed.isdisjoint(monitoring_services)


def test_their_ports_are_open_to_this_machine_only(monitoring_services: dict[str, Any]) -> None:
    assert {name: service["ports"] for name, service in monitoring_services.items()} == {
        "query": ["127.0.0.1:5500:5500"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


def test_images_of_others_have_a_version(monitoring_services: dict[str, Any]) -> None:
    images = [monitoring_services[name]["image"] for name in ("prometheus", "grafana")]
    assert [image for image in images if not re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", image)] == []


def test_prometheus_finds_each_process(
    compose_file: dict[str, Any], monitoring_services: dict[str, Any]
) -> None:
    flink, query = scraped()["flink"][0], scraped()["model-serving"][0]
    services = compose_file["services"]
    targets = [*flink["static_configs"][0]["targets"], *query["static_configs"][0]["targets"]]
    assert targets == ["jobmanager:9249", "query:5500"]
    (found,) = flink["dns_sd_configs"]
    assert (found["names"], found["port"]) == (["taskmanager"], 9249)
    for name in ("jobmanager", "taskmanager"):
        command = " ".join(services[name]["command"])
        assert "metrics.reporter.prom.port=9249" in command
        assert "metrics.reporter.prom.host=0.0.0.0" in command
    assert monitoring_services["query"]["command"] == ["model-serving", "serve", "--host", "0.0.0.0"]
    assert monitoring_services["prometheus"]["volumes"] == ["./prometheus:/etc/prometheus:ro"]


def test_the_query_server_reads_what_the_keyed_job_writes(
    monitoring_services: dict[str, Any], services: dict[str, Any]
) -> None:
    query = monitoring_services["query"]
    config = parse_query(query["command"][2:], query["environment"])
    keyed = parse_job([], services["keyed-job"]["environment"], "compose")
    assert (config.kafka.bootstrap_servers, config.status_topic, config.stats_topic) == (
        keyed.bootstrap_servers,
        keyed.status_topic,
        keyed.stats_topic,
    )
    assert (config.http.host, config.http.port) == ("0.0.0.0", 5500)


def test_nobody_can_change_anything_on_the_dashboards_page(monitoring_services: dict[str, Any]) -> None:
    settings = monitoring_services["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    home = Path(settings["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / "docker" / "grafana" / "dashboards" / home.name).is_file()
