"""The archives of classes that the set-up makes are used: nothing else would say that they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from tests.jobs import run_flink

pytestmark = [pytest.mark.kafka]


def _shared(log: Path) -> dict[str, bool]:
    """Returns of each loaded class whether it came from an archive."""
    lines = (line.split() for line in log.read_text(encoding="utf-8").splitlines())
    return {
        words[1]: "shared" in words for words in lines if len(words) > 2 and words[0].endswith("[class,load]")
    }


def test_flink_takes_its_classes_from_the_archive(tmp_path: Path) -> None:
    log = tmp_path / "classes.txt"
    done = run_flink(["list", "--help"], within_s=60, environ={"JVM_ARGS": f"-Xlog:class+load:file={log}"})
    assert done.returncode == 0, done.stderr
    assert _shared(log)["org.apache.flink.client.cli.CliFrontend"]


def test_kafka_takes_its_classes_from_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "classes-%p.txt"
    monkeypatch.setenv("MODEL_SERVING_KAFKA_JVM_ARGS", f"-XX:TieredStopAtLevel=1 -Xlog:class+load:file={log}")
    with EmbeddedBroker():
        pass
    # One Java formats the storage, the other one is the broker.
    loaded = [_shared(file) for file in tmp_path.glob("classes-*.txt")]
    assert [one["kafka.tools.StorageTool"] for one in loaded if "kafka.tools.StorageTool" in one] == [True]
    assert [one["kafka.server.BrokerServer"] for one in loaded if "kafka.server.BrokerServer" in one] == [
        True
    ]
