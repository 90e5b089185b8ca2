from __future__ import annotations

import ast
import dataclasses
import importlib.util
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from flink_jobs.config import JobConfig, parse_config
from model_serving.client.command_line import build_parser
from model_serving.client.ports import free_port
from model_serving.messaging.errors import BrokerUnreachable
from model_serving.messaging.topics import DEAD_LETTER_BYTES, TopicNames
from model_serving.runtime.environment import project_root
from model_serving.runtime.flink_args import read_call
from model_serving.runtime.flink_home import _flatten, config_text, installed_distribution
from model_serving.runtime.jar_lock import KAFKA, pinned_jars

ROOT = Path(__file__).resolve().parents[3]
JOBS = {"keyed-job": "keyed.py", "broadcast-job": "broadcast.py"}
VARIABLES = {
    f"MODEL_SERVING_{field.name.upper()}"
    for field in dataclasses.fields(JobConfig)
    if field.name != "base_dir"
}


def words(service: dict[str, Any]) -> list[str]:
    """The words of a service's command; those inside `bash -c` where it is one."""
    command = list(service["command"])
    if command[:2] == ["bash", "-c"]:
        return shlex.split(command[2].removeprefix("exec "))
    return command


def job_config(service: dict[str, Any]) -> JobConfig:
    environment = {name: str(value) for name, value in service["environment"].items()}
    return parse_config([], environment, "compose")


@pytest.fixture(scope="module")
def create_topics() -> ModuleType:
    spec = importlib.util.spec_from_file_location("create_topics", ROOT / "docker" / "create_topics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_images_have_the_versions_of_the_project_and_of_the_tested_kafka(
    services: dict[str, dict[str, Any]], project: dict[str, Any]
) -> None:
    (server,) = (
        jar for jar in pinned_jars(KAFKA) if jar.coordinate.startswith("org.apache.kafka:kafka_2.13:")
    )
    ours = f"flink-model-serving:{project['project']['version']}"
    assert {name: service["image"] for name, service in services.items()} == {
        "kafka": f"apache/kafka:{server.coordinate.rpartition(':')[2]}",
        **dict.fromkeys(services.keys() - {"kafka"}, ours),
    }
    assert f"-t {ours} ." in (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")


def test_the_build_names_files_that_are_there(services: dict[str, dict[str, Any]]) -> None:
    builds = {yaml.safe_dump(service["build"]) for name, service in services.items() if name != "kafka"}
    (build,) = builds
    assert yaml.safe_load(build) == {"context": "..", "dockerfile": "docker/Dockerfile"}
    assert (ROOT / "docker" / ".." / "docker" / "Dockerfile").is_file()


def test_every_command_is_a_program_of_the_image(
    services: dict[str, dict[str, Any]], project: dict[str, Any]
) -> None:
    programs = {
        *project["project"]["scripts"],
        *(script.name for script in (installed_distribution() / "bin").glob("*.sh")),
        "python",
    }
    named = {name: words(service)[0] for name, service in services.items() if name != "kafka"}
    assert set(named.values()) == {"python", "jobmanager.sh", "taskmanager.sh", "flink", "model-serving"}
    assert set(named.values()) <= programs


def test_the_publishers_calls_are_right(services: dict[str, dict[str, Any]]) -> None:
    calls = [
        words(service) for service in services.values() if service.get("command", [""])[0] == "model-serving"
    ]
    parsed = [build_parser("model-serving").parse_args(call[1:]) for call in calls]
    assert [options.command for options in parsed] == ["publish-models", "publish-data"]


@pytest.mark.parametrize("name", JOBS)
def test_the_jobs_run_on_the_cluster_from_the_installed_package(
    services: dict[str, dict[str, Any]], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *arguments = words(services[name])
    call = read_call(arguments, services[name]["environment"], project=project_root())
    assert program == "flink"
    assert call.job is not None
    assert call.job.path == project_root() / "flink_jobs" / JOBS[name]
    assert call.arguments == ("run", "-m", "jobmanager:8081", "-py", str(call.job.path))


def test_every_setting_is_a_known_flag(services: dict[str, dict[str, Any]], dockerfile: list[Any]) -> None:
    set_in_compose = {
        variable
        for service in services.values()
        for variable in service.get("environment", {})
        if variable.startswith("MODEL_SERVING_")
    }
    (set_in_image,) = (i.rest for i in dockerfile if i.keyword == "ENV" and "MODEL_SERVING" in i.rest)
    assert set_in_compose - VARIABLES == set()
    assert "MODEL_SERVING_CHECKPOINT_DIR" in VARIABLES
    assert "MODEL_SERVING_CHECKPOINT_DIR=/checkpoints" in set_in_image.split()


def test_the_jobs_share_inputs_and_nothing_else(
    services: dict[str, dict[str, Any]], create_topics: ModuleType
) -> None:
    keyed, broadcast = (job_config(services[name]) for name in JOBS)
    assert (keyed.models_topic, keyed.data_topic) == (broadcast.models_topic, broadcast.data_topic)
    groups = [keyed.models_group, keyed.data_group, broadcast.models_group, broadcast.data_group]
    assert len(set(groups)) == 4
    assert len({*keyed.topics, *broadcast.topics}) == 10
    assert TopicNames(*keyed.topics) == create_topics.KEYED
    assert TopicNames(*broadcast.topics) == create_topics.BROADCAST


def test_clients_use_the_address_that_kafka_advertises(services: dict[str, dict[str, Any]]) -> None:
    kafka = services["kafka"]["environment"]
    advertised = dict(listener.split("://") for listener in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
    used = {
        service["environment"]["MODEL_SERVING_BOOTSTRAP_SERVERS"]
        for service in services.values()
        if "MODEL_SERVING_BOOTSTRAP_SERVERS" in service.get("environment", {})
    }
    assert used == {advertised["INSIDE"]} == {"kafka:19092"}
    assert advertised["OUTSIDE"] == "localhost:9092"
    listeners = {listener.split("://")[0] for listener in kafka["KAFKA_LISTENERS"].split(",")}
    protocols = dict(pair.split(":") for pair in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert listeners == set(protocols) == {*advertised, kafka["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert kafka["KAFKA_PROCESS_ROLES"] == "broker,controller"


def test_kafka_takes_the_largest_message_that_there_can_be(services: dict[str, dict[str, Any]]) -> None:
    kafka = services["kafka"]["environment"]
    assert kafka["KAFKA_MESSAGE_MAX_BYTES"] == kafka["KAFKA_REPLICA_FETCH_MAX_BYTES"] == DEAD_LETTER_BYTES


def test_the_ports_are_open_to_this_machine_only(services: dict[str, dict[str, Any]]) -> None:
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "kafka": ["127.0.0.1:9092:9092"],
        "jobmanager": ["127.0.0.1:8081:8081"],
    }


def test_every_address_of_the_one_machine_configuration_is_replaced(
    services: dict[str, dict[str, Any]],
) -> None:
    text = config_text(installed_distribution(), Path("/opt/model-serving/flink"), Path("/usr/bin/python"))
    ours = dict(_flatten(yaml.safe_load(text)))
    settings = {name: words(services[name])[2:] for name in ("jobmanager", "taskmanager")}
    # jobmanager.sh reads `-Dkey=value` as a host name: the two have to be words of their own.
    assert all(given[::2] == ["-D"] * (len(given) // 2) for given in settings.values())
    replaced = {name: dict(word.split("=", 1) for word in given[1::2]) for name, given in settings.items()}
    others = {"execution.checkpointing.savepoint-dir", "metrics.reporter.prom.port"}
    assert {*replaced["jobmanager"], *replaced["taskmanager"]} - others == {
        key for key, value in ours.items() if value == "localhost"
    }
    assert replaced["jobmanager"]["execution.checkpointing.savepoint-dir"] == "file:///checkpoints"
    assert replaced["jobmanager"]["jobmanager.rpc.address"] == "jobmanager"
    assert replaced["taskmanager"]["jobmanager.rpc.address"] == "jobmanager"


def test_what_a_service_waits_for_can_come_true(services: dict[str, dict[str, Any]]) -> None:
    waits = [
        (name, other, wait["condition"])
        for name, service in services.items()
        for other, wait in service.get("depends_on", {}).items()
    ]
    assert {other for _, other, condition in waits if condition == "service_completed_successfully"} == {
        "topics"
    }
    assert {other for _, other, condition in waits if condition == "service_healthy"} == {
        name for name, service in services.items() if "healthcheck" in service
    }
    assert {condition for _, _, condition in waits} == {"service_completed_successfully", "service_healthy"}


@pytest.mark.parametrize("name", ["jobmanager", "taskmanager"])
def test_the_health_checks_are_python(services: dict[str, dict[str, Any]], name: str) -> None:
    kind, program, option, code = services[name]["healthcheck"]["test"]
    assert (kind, program, option) == ("CMD", "python", "-c")
    assert ast.parse(code).body != []


def test_checkpoints_are_on_one_volume_that_both_processes_see(compose_file: dict[str, Any]) -> None:
    mounted = {
        name: service["volumes"]
        for name, service in compose_file["services"].items()
        if "volumes" in service and "profiles" not in service
    }
    assert mounted == {name: ["checkpoints:/checkpoints"] for name in ("jobmanager", "taskmanager")}
    assert compose_file["volumes"] == {"checkpoints": None}


def test_no_broker_is_one_line(
    create_topics: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("MODEL_SERVING_BOOTSTRAP_SERVERS", nowhere)
    monkeypatch.setattr(create_topics, "_DEADLINE_S", 0.2)
    assert create_topics.main() == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"create_topics: {BrokerUnreachable(nowhere)}\n"
