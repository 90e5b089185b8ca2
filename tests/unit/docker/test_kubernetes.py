"""The manifests of docker/kubernetes against what images, jobs, server and query server read.

Kubernetes' own schemas are not part of this project. CONTRIBUTING.md says how to check the manifests against
them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flink_jobs.config import JobConfig, parse_config
from model_serving.query.config import parse_config as parse_query
from model_serving.runtime.flink_home import _flatten, config_text, installed_distribution
from model_serving.server.config import ServerConfig
from model_serving.server.config import parse_config as parse_server

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docker" / "kubernetes"
VARIANTS = ("keyed", "broadcast")
HOME = Path("/opt/model-serving")


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


def shared_environment() -> dict[str, str]:
    (config,) = (one for one in manifests("shared") if one["kind"] == "ConfigMap")
    data: dict[str, str] = config["data"]
    return data


def without_kafka_config() -> dict[str, str]:
    """The file is not here; what is in it is the user's."""
    return {
        name: value for name, value in shared_environment().items() if name != "MODEL_SERVING_KAFKA_CONFIG"
    }


def job(variant: str) -> dict[str, Any]:
    (deployment,) = manifests(variant)
    spec: dict[str, Any] = deployment["spec"]
    return spec


def job_config(variant: str) -> JobConfig:
    arguments = job(variant)["job"]["args"]
    position = arguments.index("-py") + 2
    return parse_config(arguments[position:], without_kafka_config(), "kubernetes")


def pods() -> dict[str, dict[str, Any]]:
    """The pods' specifications by their manifest."""
    found = {variant: job(variant)["podTemplate"]["spec"] for variant in VARIANTS}
    for name in ("server", "query"):
        found[name] = workload(name)["spec"]["template"]["spec"]
    return found


def workload(name: str) -> dict[str, Any]:
    (one,) = (one for one in manifests(name) if one["kind"] in {"Deployment", "StatefulSet"})
    return one


def server_config() -> ServerConfig:
    (container,) = pods()["server"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    return parse_server(container["args"][2:], {**without_kafka_config(), **environment})


@pytest.mark.parametrize("name", pods())
def test_a_pod_has_no_rights_and_cannot_write_to_its_image(name: str) -> None:
    pod = pods()[name]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for dockerfile in ("Dockerfile", "Dockerfile.server"):
        made = re.search(r"useradd --uid (\d+) ", (ROOT / "docker" / dockerfile).read_text(encoding="utf-8"))
        assert made is not None
        assert pod["securityContext"]["runAsUser"] == int(made[1])
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    # Temporary files, of models above all, have a place.
    assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize("name", ["server", "query"])
def test_what_needs_no_rights_in_kubernetes_has_no_token(name: str) -> None:
    assert pods()[name]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", pods())
def test_kafkas_certificates_come_from_a_secret(name: str) -> None:
    pod = pods()[name]
    (secret,) = (volume for volume in pod["volumes"] if "secret" in volume)
    assert secret["secret"]["secretName"] == "model-serving-kafka"
    (mount,) = (one for one in pod["containers"][0]["volumeMounts"] if one["name"] == secret["name"])
    assert mount["readOnly"] is True
    assert Path(shared_environment()["MODEL_SERVING_KAFKA_CONFIG"]).parent == Path(mount["mountPath"])
    assert pod["containers"][0]["envFrom"] == [{"configMapRef": {"name": "model-serving"}}]


@pytest.mark.parametrize("name", ["server", "query"])
def test_probes_ask_for_routes_that_there_are(name: str) -> None:
    (container,) = pods()[name]["containers"]
    (port,) = container["ports"]
    probes = {
        kind: container[kind]["httpGet"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    if name == "server":
        assert (server_config().http_host, server_config().http_port) == ("0.0.0.0", port["containerPort"])
    else:
        assert container["args"][-1] == str(port["containerPort"])


@pytest.mark.parametrize("name", ["server", "query"])
def test_disruptions_take_one_pod_at_a_time_of_those_that_the_service_finds(name: str) -> None:
    labels = workload(name)["spec"]["template"]["metadata"]["labels"]
    (budget,) = (one["spec"] for one in manifests(name) if one["kind"] == "PodDisruptionBudget")
    (service,) = (one["spec"] for one in manifests(name) if one["kind"] == "Service")
    assert budget["maxUnavailable"] == 1
    for selector in (
        budget["selector"]["matchLabels"],
        service["selector"],
        workload(name)["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    assert workload(name)["spec"]["replicas"] >= 2


def test_each_process_of_the_server_keeps_its_name() -> None:
    assert workload("server")["kind"] == "StatefulSet"
    (container,) = pods()["server"]["containers"]
    (name,) = (one for one in container["env"] if "valueFrom" in one)
    assert name == {
        "name": "MODEL_SERVING_NAME",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
    }
    assert parse_server([], {"MODEL_SERVING_NAME": "model-serving-server-1"}).name == "model-serving-server-1"
    assert container["args"][:2] == ["model-serving", "run"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_jobs_arguments_are_right(variant: str) -> None:
    spec = job(variant)
    config = job_config(variant)
    assert config.parallelism == spec["job"]["parallelism"]
    assert config.checkpoint_dir == spec["flinkConfiguration"]["execution.checkpointing.dir"]
    arguments = spec["job"]["args"]
    script = Path(arguments[arguments.index("-py") + 1])
    assert script == HOME / "lib/python3.11/site-packages/flink_jobs" / f"{variant}.py"
    slots = int(spec["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    assert slots >= config.parallelism, "or more TaskManagers than one are needed"


def test_jobs_and_server_share_inputs_and_nothing_else() -> None:
    configs = [*map(job_config, VARIANTS), server_config()]
    assert len({(one.models_topic, one.data_topic) for one in configs}) == 1
    own = [
        (
            one.models_group,
            one.data_group,
            one.results_topic,
            one.dead_letter_topic,
            one.status_topic,
            one.stats_topic,
        )
        for one in configs
    ]
    flat = [name for names in own for name in names]
    assert len(flat) == len(set(flat))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_operators_configuration_has_what_the_images_has(variant: str) -> None:
    """The operator's file takes the place of the image's, so what the jobs need has to be in both."""
    text = config_text(installed_distribution(), HOME / "flink", HOME / "bin/python")
    # BaseLoader: as Flink reads them, as texts.
    ours: dict[str, Any] = dict(_flatten(yaml.load(text, yaml.BaseLoader)))
    theirs = {key: str(value) for key, value in job(variant)["flinkConfiguration"].items()}
    # One machine's addresses, folders and sizes, which Kubernetes has otherwise.
    own = re.compile(
        r"env\.(pid|log)|jobmanager\.|taskmanager\.|rest\.|parallelism|slot\.|metrics\.reporter\.prom\.(host|port)"
    )
    needed = {key: value for key, value in ours.items() if not own.match(key)}
    logging = f" -Djava.util.logging.config.file={HOME}/flink/conf/logging.properties"
    needed["env.java.opts.all"] = " ".join(needed["env.java.opts.all"].replace(logging, "").split())
    assert {key: theirs.get(key) for key in needed} == needed
    assert theirs["kubernetes.flink.conf.dir"] == str(HOME / "flink" / "conf")


@pytest.mark.parametrize("variant", VARIANTS)
def test_state_is_on_the_volume_and_survives_a_jobmanager_and_an_upgrade(variant: str) -> None:
    spec = job(variant)
    settings = spec["flinkConfiguration"]
    assert settings["high-availability.type"] == "kubernetes"
    assert spec["jobManager"]["replicas"] > 1
    assert spec["job"]["upgradeMode"] == "savepoint"
    pod = spec["podTemplate"]["spec"]
    (mount,) = (one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "checkpoints")
    places = [value for key, value in settings.items() if value.startswith("file://")]
    assert len(places) == 3
    assert [place for place in places if not place.startswith(f"file://{mount['mountPath']}/{variant}")] == []
    (claim,) = (one["metadata"]["name"] for one in manifests("shared") if one["kind"] != "ConfigMap")
    (volume,) = (one for one in pod["volumes"] if one["name"] == "checkpoints")
    assert volume["persistentVolumeClaim"]["claimName"] == claim


@pytest.mark.parametrize("variant", VARIANTS)
def test_flink_can_write_where_it_must(variant: str) -> None:
    mounts = {
        one["mountPath"] for one in job(variant)["podTemplate"]["spec"]["containers"][0]["volumeMounts"]
    }
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    owned = re.search(r"chown serving:serving (.*)$", dockerfile, re.MULTILINE)
    assert owned is not None
    assert set(owned[1].split()) <= mounts


def test_the_query_server_reads_what_the_keyed_job_writes_and_can_be_reached() -> None:
    (container,) = pods()["query"]["containers"]
    assert container["args"][:2] == ["model-serving", "serve"]
    config = parse_query(container["args"][2:], without_kafka_config())
    keyed = job_config("keyed")
    assert (config.status_topic, config.stats_topic, config.dead_letter_topic) == (
        keyed.status_topic,
        keyed.stats_topic,
        keyed.dead_letter_topic,
    )
    assert (config.http.host, config.http.port) == ("0.0.0.0", container["ports"][0]["containerPort"])


def test_images_are_those_that_are_built() -> None:
    images = {job("keyed")["image"], job("broadcast")["image"]}
    images |= {pods()[name]["containers"][0]["image"] for name in ("server", "query")}
    built = {
        tag
        for name in ("Dockerfile", "Dockerfile.server")
        for tag in re.findall(r"build .*-t (\S+) \.", (ROOT / "docker" / name).read_text(encoding="utf-8"))
    }
    assert images == built


def test_the_two_jobs_differ_in_their_names_and_topics_only() -> None:
    keyed, broadcast = ((FOLDER / f"{name}.yaml").read_text(encoding="utf-8") for name in VARIANTS)
    topics = re.compile(
        r"^      - (--[\w-]+-(group|topic)|[\w-]+-(models|records|results|letters|status|stats))\n",
        re.MULTILINE,
    )
    assert topics.sub("", keyed).replace("keyed", "broadcast") == topics.sub("", broadcast)
