"""Runs a standalone Flink cluster with the pip package's scripts and its own ports, logs and settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import psutil

from model_serving.client.ports import free_port
from model_serving.runtime.environment import flink_environment
from model_serving.runtime.flink_home import derive_conf, flink_home
from tests.jobs import MARK, eventually, marked_processes, run_flink
from tests.patience import patience

__all__ = ["Cluster", "standalone_cluster"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running session cluster; ``rest`` is a value for ``FLINK_REST``, ``mark`` is on all its processes."""

    rest: str
    mark: str
    folder: Path
    settings: Mapping[str, str]

    @property
    def environ(self) -> dict[str, str]:
        """The environment with which the ``flink`` command uses this cluster."""
        return {"FLINK_REST": self.rest}

    def get(self, path: str) -> Any:
        """Returns an answer of the cluster's REST interface."""
        with urlopen(f"http://{self.rest}{path}", timeout=patience(10)) as answer:
            return json.load(answer)

    def task_managers(self) -> int:
        """Returns the number of registered TaskManagers, 0 while the cluster does not answer."""
        try:
            return len(self.get("/taskmanagers")["taskmanagers"])
        except (URLError, OSError):
            return 0

    def state_of(self, job: str) -> str:
        """Returns a job's state, as Flink spells it."""
        return str(self.get(f"/jobs/{job}")["state"])

    def submit(self, variant: str, flags: Sequence[str], *options: str) -> str:
        """Starts a detached job, with more ``options`` of ``flink run``, and returns its id."""
        started = run_flink(
            ["run", "-d", *options, "-py", f"flink_jobs/{variant}.py", *flags],
            within_s=120,
            environ=self.environ,
        )
        assert started.returncode == 0, started.stderr
        found = re.search(rf"^{variant}\.py: job ([0-9a-f]{{32}}) runs$", started.stdout, re.MULTILINE)
        assert found is not None, started.stdout
        return found[1]

    def check(self, job: str) -> None:
        """Fails when a job does not run."""
        assert self.state_of(job) in {"CREATED", "RUNNING"}, self.get(f"/jobs/{job}/exceptions")

    def end(self, job: str) -> None:
        """Cancels a job by REST, without a process of Java, and waits until it has ended."""
        with urlopen(
            Request(f"http://{self.rest}/jobs/{job}?mode=cancel", method="PATCH"), timeout=patience(10)
        ):
            pass
        eventually(lambda: self.state_of(job) == "CANCELED", lambda: self.state_of(job), within_s=30)

    def cancel(self, job: str) -> None:
        """Cancels a job by the ``flink`` command."""
        cancelled = run_flink(["cancel", job], within_s=120, environ=self.environ)
        assert cancelled.returncode == 0, cancelled.stderr

    def script(self, name: str, *arguments: str) -> None:
        """Runs one of Flink's scripts, such as ``taskmanager.sh start``."""
        with (self.folder / f"{name}.txt").open("ab") as output:
            # The output is not a pipe, because the daemons would keep it open.
            subprocess.run(
                [flink_home().path / "bin" / name, *arguments],
                env={
                    **flink_environment(os.environ),
                    "FLINK_CONF_DIR": str(self.folder / "conf"),
                    MARK: self.mark,
                },
                stdout=output,
                stderr=output,
                timeout=patience(60),
                check=True,
            )

    def logs(self) -> str:
        """Returns the end of each log."""
        files = sorted(self.folder.glob("*.txt")) + sorted((self.folder / "log").iterdir())
        return "\n".join(f"{file.name}:\n{file.read_text()[-2000:]}" for file in files)


@contextmanager
def standalone_cluster(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """Runs one JobManager and one TaskManager. No process may be left after Flink's scripts stop them."""
    port = free_port()
    running = Cluster(f"localhost:{port}", uuid4().hex, folder, settings or {})
    # Flink's scripts do not create this folder.
    (folder / "log").mkdir()
    derive_conf(
        flink_home(),
        folder / "conf",
        {
            "jobmanager.rpc.port": free_port(),
            "rest.port": port,
            # A busy machine is not a failure.
            "pekko.ask.timeout": "60 s",
            "metrics.fetcher.update-interval": 500,
            "env.log.dir": str(folder / "log"),
            "env.pid.dir": str(folder / "run"),
            **running.settings,
        },
    )
    (folder / "conf" / "masters").write_text(f"localhost:{port}\n")
    try:
        running.script("start-cluster.sh")
        eventually(
            lambda: running.task_managers() == 1, lambda: f"no TaskManager:\n{running.logs()}", within_s=180
        )
        yield running
        running.script("stop-cluster.sh")
        # The command before stops only one TaskManager. This one stops those that a test started.
        running.script("taskmanager.sh", "stop-all")
        eventually(
            lambda: marked_processes(running.mark) == [],
            lambda: f"still there: {marked_processes(running.mark)}",
            within_s=30,
        )
    finally:
        for line in marked_processes(running.mark):
            psutil.Process(int(line.split()[0])).kill()
