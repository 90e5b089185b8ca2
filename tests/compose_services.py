"""Runs the services of docker/compose.yaml as plain processes of this machine, in the order of the file.

Unlike containers, they share this machine: ports are free ports, every host name is localhost, and the
image's folders are in other places. Commands, environments, conditions and health checks are the file's own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import psutil
import yaml

from model_serving.client.ports import free_port
from tests.jobs import MARK, ROOT, ends_with_this_process, eventually, marked_processes
from tests.patience import patience

__all__ = ["Composed"]

_IMAGE_HOME = "/opt/model-serving"
_IMAGE_CHECKPOINTS = "/checkpoints"
_READY_S = 240.0
_STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class _Service:
    """A service that has been started."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    healthcheck: Sequence[str]

    def printed(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


class Composed:
    """The services of compose.yaml except Kafka. The context starts them in order and ends them all.

    Args:
        bootstrap_servers: the Kafka that replaces the service ``kafka``.
        folder: the folder for logs and checkpoints, in which every service starts.
        profile: the profile whose services are started; None: those without one.
    """

    def __init__(self, bootstrap_servers: str, folder: Path, *, profile: str | None = None) -> None:
        services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
        wanted = [profile] if profile else []
        self._services = {
            name: service for name, service in services.items() if service.get("profiles", []) == wanted
        }
        self._folder = folder
        self._mark = uuid4().hex
        self._rest, self._rpc = free_port(), free_port()
        self._places = {
            # First, because the ports that come in for others may have the same digits.
            "5500": str(free_port()),
            f"{_IMAGE_HOME}/create_topics.py": str(ROOT / "docker" / "create_topics.py"),
            _IMAGE_HOME: sys.prefix,
            _IMAGE_CHECKPOINTS: str(folder / "checkpoints"),
            "kafka:19092": bootstrap_servers,
            "$(hostname)": "localhost",
            "jobmanager:8081": f"localhost:{self._rest}",
            "localhost:8081": f"localhost:{self._rest}",
            "=jobmanager": "=localhost",
            # A test does not listen to other machines, and its processes cannot all have one port.
            "=0.0.0.0": "=127.0.0.1",
            "prom.port=9249": "prom.port=9249-9299",
        }
        self._started: dict[str, _Service] = {}

    def __enter__(self) -> Self:
        (self._folder / "checkpoints").mkdir()
        try:
            for name in _in_order(self._services):
                self._start(name)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def names(self) -> list[str]:
        """The services in the order in which they were started."""
        return list(self._started)

    def check(self) -> None:
        """Fails when a service has ended that should run."""
        for service in self._started.values():
            status = service.process.poll()
            waited_for = self._awaited(service.name) == "service_completed_successfully"
            assert status is None or (waited_for and status == 0), (
                f"{service.name} ended with status {status}:\n{service.printed()}"
            )

    def stop(self) -> None:
        """Stops every service, first those that depend on others. No process may be left."""
        for service in reversed(self._started.values()):
            if service.process.poll() is None:
                service.process.terminate()
                try:
                    service.process.wait(patience(_STOP_S))
                except subprocess.TimeoutExpired:
                    raise AssertionError(f"{service.name} does not stop:\n{service.printed()}") from None
        eventually(
            lambda: marked_processes(self._mark) == [],
            lambda: f"still there: {marked_processes(self._mark)}",
            within_s=_STOP_S,
        )

    def _start(self, name: str) -> None:
        described = self._services[name]
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._command(described["command"], name),
                cwd=self._folder,
                env=self._environ(described),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=ends_with_this_process(),  # noqa: PLW1509 - it makes one system call
            )
        healthcheck = described.get("healthcheck", {}).get("test", [])[1:]
        service = self._started[name] = _Service(name, process, log, healthcheck)
        ready: Callable[[], bool]
        match self._awaited(name):
            case None:
                return
            case "service_completed_successfully":
                ready = lambda: process.poll() == 0  # noqa: E731 - one of two conditions
            case "service_healthy":
                ready = lambda: self._is_healthy(service)  # noqa: E731
            case other:
                raise AssertionError(f"{name} is waited for in a way that this does not know: {other}")

        def ready_or_failed() -> bool:
            self.check()
            return ready()

        eventually(
            ready_or_failed,
            lambda: f"{name} is not ready:\n{service.printed()}",
            within_s=_READY_S,
            # Each check of the health starts a process, on the same cores as the service.
            step_s=1.0,
        )

    def _awaited(self, name: str) -> str | None:
        """The condition that other services wait for before they start after this one."""
        conditions = {
            other["depends_on"][name]["condition"]
            for other in self._services.values()
            if name in other.get("depends_on", {})
        }
        assert len(conditions) <= 1, f"{name} is waited for in two ways: {conditions}"
        return next(iter(conditions), None)

    def _is_healthy(self, service: _Service) -> bool:
        described = self._services[service.name]
        checked = subprocess.run(
            [self._here(word) for word in service.healthcheck],
            env=self._environ(described),
            capture_output=True,
            timeout=patience(60),
            check=False,
        )
        return checked.returncode == 0

    def _command(self, words: Sequence[str], name: str) -> list[str]:
        here = [self._here(word.replace("$$", "$")) for word in words]
        own = self._cluster_settings() if name in {"jobmanager", "taskmanager"} else []
        if here[:2] == ["bash", "-c"]:
            return [*here[:2], " ".join([here[2], *own])]
        return [*here, *own]

    def _cluster_settings(self) -> list[str]:
        """Returns the ports of this cluster, and longer timeouts than Flink has on a machine of its own."""
        settings = {
            "jobmanager.rpc.port": str(self._rpc),
            "rest.port": str(self._rest),
            "pekko.ask.timeout": "60s",
        }
        return [word for key, value in settings.items() for word in ("-D", f"{key}={value}")]

    def _environ(self, service: Mapping[str, Any]) -> dict[str, str]:
        given = service.get("environment", {})
        values = {
            **_image_environment(service["build"]["dockerfile"]),
            **{name: str(value) for name, value in given.items()},
        }
        here = {name: self._here(value) for name, value in values.items()}
        return {**os.environ, **here, "FLINK_LOG_DIR": str(self._folder / "flink-logs"), MARK: self._mark}

    def _here(self, text: str) -> str:
        for there, here in self._places.items():
            text = text.replace(there, here)
        return text.replace("$PATH", os.environ["PATH"])

    def _end(self) -> None:
        for service in self._started.values():
            if service.process.poll() is None:
                service.process.kill()
            service.process.wait()
        for line in marked_processes(self._mark):
            try:
                psutil.Process(int(line.split()[0])).kill()
            except psutil.Error:
                continue


def _in_order(services: Mapping[str, Any]) -> list[str]:
    """Returns every service except Kafka, in the file's order, but each after those that it depends on."""
    order: list[str] = []

    def add(name: str) -> None:
        if name == "kafka":
            return
        for other in services[name].get("depends_on", {}):
            add(other)
        if name not in order:
            order.append(name)

    for name in services:
        add(name)
    return order


def _image_environment(dockerfile: str) -> dict[str, str]:
    """Returns the variables that the last stage of a Dockerfile sets with ENV."""
    text = (ROOT / dockerfile).read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    (line,) = re.findall(r"^ENV (.*)$", text.replace("\\\n", " "), re.MULTILINE)
    return dict(setting.split("=", 1) for setting in line.split())
