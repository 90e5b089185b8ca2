"""The job of docker/kubernetes in application mode, as processes of this machine.

The Flink Kubernetes Operator starts TaskManagers, and a JobManager with the job's arguments in it, as
``standalone-job.sh`` does here. Settings and arguments are the manifest's own, except for places and for what
is Kubernetes' alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.ports import free_port
from model_serving.runtime.environment import flink_environment, project_root
from model_serving.runtime.flink_home import derive_conf, flink_home
from tests.job_models import SAMPLES, sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import ROOT, ends_with_this_process, eventually
from tests.patience import patience

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

IMAGE_PACKAGES = "/opt/model-serving/lib/python3.11/site-packages"


@contextmanager
def process(command: list[str], environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a process while the context is open."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            command,
            cwd=log.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=ends_with_this_process(),  # noqa: PLW1509 - it makes one system call
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(patience(40))
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def test_the_keyed_job_serves_in_application_mode(broker: EmbeddedBroker, tmp_path: Path) -> None:
    spec = yaml.safe_load((ROOT / "docker" / "kubernetes" / "keyed.yaml").read_text(encoding="utf-8"))["spec"]
    topics = fresh_topics(broker)
    rest = free_port()
    (tmp_path / "log").mkdir()
    derive_conf(flink_home(), tmp_path / "conf", settings(spec, tmp_path, rest))
    environ = {
        **flink_environment(os.environ),
        "FLINK_CONF_DIR": str(tmp_path / "conf"),
        "MODEL_SERVING_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "MODEL_SERVING_MODELS_TOPIC": topics.models,
        "MODEL_SERVING_DATA_TOPIC": topics.data,
        "MODEL_SERVING_RESULTS_TOPIC": topics.results,
        "MODEL_SERVING_DEAD_LETTER_TOPIC": topics.dead_letters,
        "MODEL_SERVING_STATUS_TOPIC": topics.status,
    }
    scripts = flink_home().path / "bin"
    arguments = [here(word, tmp_path) for word in spec["job"]["args"]]
    words = [
        str(scripts / "standalone-job.sh"),
        "start-foreground",
        "--job-classname",
        spec["job"]["entryClass"],
    ]
    # As the manifest's entry path and the operator's call of a shell.
    entry = [spec["flinkConfiguration"]["kubernetes.entry.path"], "bash", "-c", 'exec "$0" "$@"']
    with (
        process([*entry, *words, *arguments], environ, tmp_path / "jobmanager.txt") as jobmanager,
        process([str(scripts / "taskmanager.sh"), "start-foreground"], environ, tmp_path / "taskmanager.txt"),
    ):

        def check() -> None:
            assert jobmanager.poll() is None, (tmp_path / "jobmanager.txt").read_text()[-4000:]

        def states() -> list[str]:
            check()
            try:
                with urlopen(f"http://localhost:{rest}/jobs/overview", timeout=patience(10)) as answer:
                    return [job["state"] for job in json.load(answer)["jobs"]]
            except (URLError, OSError):
                return []

        eventually(lambda: states() == ["RUNNING"], lambda: f"{states()}", within_s=180)
        with Traffic("keyed", broker.bootstrap_servers, topics, check) as traffic:
            key, sample = next(iter(SAMPLES.items()))
            traffic.serve(sample.message(key))
            traffic.send(*sample_records(key, len(sample.expected)))
            traffic.await_results(key, len(sample.expected))


def settings(spec: dict[str, Any], folder: Path, rest: int) -> dict[str, str | int]:
    """The manifest's settings of Flink without those for Kubernetes, with this machine's places and ports."""
    given = {
        key: here(value, folder)
        for key, value in spec["flinkConfiguration"].items()
        if not key.startswith(("kubernetes.", "high-availability."))
    }
    return {
        **given,
        "taskmanager.memory.process.size": spec["taskManager"]["resource"]["memory"],
        "jobmanager.memory.process.size": spec["jobManager"]["resource"]["memory"],
        "jobmanager.rpc.port": free_port(),
        "rest.port": rest,
        "metrics.reporter.prom.host": "localhost",
        "metrics.reporter.prom.port": "9249-9299",
        "pekko.ask.timeout": "60 s",
        "env.log.dir": str(folder / "log"),
        "env.pid.dir": str(folder / "run"),
    }


def here(text: str, folder: Path) -> str:
    """A path of the image as it is on this machine."""
    return (
        text.replace(IMAGE_PACKAGES, str(project_root()))
        .replace("/opt/model-serving", sys.prefix)
        .replace("file:///checkpoints", f"file://{folder}/checkpoints")
    )
