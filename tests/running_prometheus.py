"""A Prometheus that scrapes what a test runs: Debian's package, on a free port, while the context is open."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from model_serving.client.ports import free_port
from tests.expressions import ALERT_RULES, Expression, selectors
from tests.jobs import ends_with_this_process, eventually
from tests.patience import patience

__all__ = ["RunningPrometheus", "needs_prometheus"]

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs Prometheus (Debian: apt install prometheus)"
)

_EVERY = "1s"


class RunningPrometheus:
    """Scrapes ``targets`` (addresses by job) every second, with this project's rules."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[str]]) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        config = {
            "global": {"scrape_interval": _EVERY, "evaluation_interval": _EVERY},
            "rule_files": [str(ALERT_RULES)],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
                for job, addresses in targets.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def __enter__(self) -> Self:
        with (self._folder / "prometheus.log").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=ends_with_this_process(),  # noqa: PLW1509 - it makes one system call
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, expression: str) -> list[Any]:
        """Returns the series of an instant query, none while Prometheus does not answer."""
        query = urlencode({"query": expression})
        try:
            with urlopen(
                f"http://127.0.0.1:{self._port}/api/v1/query?{query}", timeout=patience(10)
            ) as answer:
                found: list[Any] = json.load(answer)["data"]["result"]
                return found
        except (URLError, OSError):
            return []

    def await_data(self, texts: Sequence[str], *, within_s: float = 60) -> None:
        """Waits until each expression has data."""
        without = list(texts)

        def all_have() -> bool:
            without[:] = [text for text in without if not self.ask(text)]
            return not without

        eventually(
            all_have, lambda: f"no data for {without}\n{self._printed()}", within_s=within_s, step_s=0.5
        )

    def await_metrics(self, expressions: Sequence[Expression], *, within_s: float = 60) -> None:
        """Waits until each series that the expressions read has data, whatever it is compared with."""
        self.await_data(sorted({one for each in expressions for one in selectors(each)}), within_s=within_s)

    def _printed(self) -> str:
        return (self._folder / "prometheus.log").read_text(errors="replace")[-2000:]
