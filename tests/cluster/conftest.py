"""A standalone Flink cluster of the pip package's own scripts, with ports, logs and settings of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import psutil
import pytest

from client.ports import free_port
from runtime.environment import flink_environment
from runtime.flink_home import derive_conf, flink_home
from tests.jobs import MARK, eventually, marked_processes


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running session cluster; ``rest`` is what ``FLINK_REST`` names."""

    rest: str

    @property
    def environ(self) -> dict[str, str]:
        """What takes the ``flink`` command to this cluster."""
        return {"FLINK_REST": self.rest}

    def get(self, path: str) -> Any:
        """What the cluster's REST interface answers."""
        with urlopen(f"http://{self.rest}{path}", timeout=10) as answer:
            return json.load(answer)

    def task_managers(self) -> int:
        """How many have registered; none while nothing answers."""
        try:
            return len(self.get("/taskmanagers")["taskmanagers"])
        except (URLError, OSError):
            return 0

    def state_of(self, job: str) -> str:
        """A job's state, as Flink spells it."""
        return str(self.get(f"/jobs/{job}")["state"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One JobManager and one TaskManager, of which nothing may be left after Flink's own script has run."""
    folder = tmp_path_factory.mktemp("cluster")
    home, port, mark = flink_home(), free_port(), uuid4().hex
    settings: dict[str, str | int] = {
        "jobmanager.rpc.port": free_port(),
        "rest.port": port,
        # A busy machine is no failure.
        "pekko.ask.timeout": "60 s",
        "metrics.fetcher.update-interval": 500,
        "env.log.dir": str(folder / "log"),
        "env.pid.dir": str(folder / "run"),
    }
    # Flink's scripts do not make it.
    (folder / "log").mkdir()
    derive_conf(home, folder / "conf", settings)
    (folder / "conf" / "masters").write_text(f"localhost:{port}\n")
    environ = {**flink_environment(os.environ), "FLINK_CONF_DIR": str(folder / "conf"), MARK: mark}

    def script(name: str) -> None:
        with (folder / f"{name}.txt").open("wb") as output:
            # Not a pipe: the daemons keep it open.
            subprocess.run(
                [home.path / "bin" / name], env=environ, stdout=output, stderr=output, timeout=60, check=True
            )

    def logs() -> str:
        files = sorted(folder.glob("*.txt")) + sorted((folder / "log").iterdir())
        return "\n".join(f"{file.name}:\n{file.read_text()[-2000:]}" for file in files)

    running = Cluster(f"localhost:{port}")
    try:
        script("start-cluster.sh")
        eventually(lambda: running.task_managers() == 1, lambda: f"no TaskManager:\n{logs()}", within_s=60)
        yield running
        script("stop-cluster.sh")
        eventually(
            lambda: marked_processes(mark) == [],
            lambda: f"still there: {marked_processes(mark)}",
            within_s=30,
        )
    finally:
        for line in marked_processes(mark):
            psutil.Process(int(line.split()[0])).kill()
