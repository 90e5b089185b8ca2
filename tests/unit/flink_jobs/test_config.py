"""The flags of both jobs, as the contract lists them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from flink_jobs import config
from flink_jobs.config import (
    Delivery,
    ExecutionMode,
    StartingOffsets,
    StateBackend,
)
from model_serving.core.model_servers.outage import OutagePolicy
from model_serving.core.scoring.input_policy import MissingPolicy
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.messaging.topics import topic_settings
from model_serving.settings import ServingSettings
from tests.unit.flink_jobs.calls import ATTRIBUTES, attribute, parse, variable

PROPERTIES = Path(__file__).resolve().parent / "test.properties"
KEYS = Path(__file__).resolve().parent / "test.keys"
HEADERS = Path(__file__).resolve().parent / "test.headers"
CERTIFICATE = Path(__file__).resolve().parent / "test.pem"

DEFAULTS: dict[str, Any] = {
    "--bootstrap-servers": "localhost:9092",
    "--models-topic": "models",
    "--kafka-config": {},
    "--data-topic": "mdata",
    "--results-topic": "results",
    "--dead-letter-topic": "dead-letters",
    "--status-topic": "model-status",
    "--stats-topic": "model-stats",
    "--models-group": "modelRecordsGroup",
    "--data-group": "wineRecordsGroup",
    "--starting-offsets": StartingOffsets.COMMITTED,
    "--partition-discovery-interval-ms": 10_000,
    "--bounded": False,
    "--parallelism": 1,
    "--execution-mode": ExecutionMode.THREAD,
    "--checkpoint-interval-ms": 5000,
    "--delivery": Delivery.AT_LEAST_ONCE,
    "--no-model": NoModelPolicy.BUFFER,
    "--buffer-limit": 10_000,
    "--keep-versions": 3,
    "--record-type": "model_serving.protos.winerecord_pb2:WineRecord",
    "--model-size-limit": 256 * 1024 * 1024,
    "--allow-locations": (),
    "--model-key-file": "",
    "--missing": MissingPolicy.REJECT,
    "--failure-threshold": 5,
    "--load-timeout-s": 120,
    "--trial-timeout-s": 60,
    "--trial-memory-limit": 4 * 1024**3,
    "--unpacked-size-limit": 2 * 1024**3,
    "--pmml-size-limit": 64 * 1024**2,
    "--restart-attempts": 10,
    "--model-store": "",
    "--inline-limit": 1024 * 1024,
    "--model-store-retention-h": 168.0,
    "--remote-timeout-ms": 10_000,
    "--remote-outage": OutagePolicy.WAIT,
    "--remote-headers-file": "",
    "--remote-ca-file": "",
    "--state-backend": None,
}

OTHERS: dict[str, tuple[str, Any]] = {
    "--bootstrap-servers": ("a:1,[::1]:65535", "a:1,[::1]:65535"),
    "--kafka-config": (str(PROPERTIES), {"security.protocol": "SSL"}),
    "--models-topic": ("m", "m"),
    "--data-topic": ("d", "d"),
    "--results-topic": ("r", "r"),
    "--dead-letter-topic": ("l", "l"),
    "--status-topic": ("s", "s"),
    "--stats-topic": ("", ""),
    "--models-group": ("mg", "mg"),
    "--data-group": ("dg", "dg"),
    "--starting-offsets": ("latest", StartingOffsets.LATEST),
    "--partition-discovery-interval-ms": ("0", 0),
    "--bounded": ("true", True),
    "--parallelism": ("4", 4),
    "--execution-mode": ("process", ExecutionMode.PROCESS),
    "--checkpoint-interval-ms": ("1000", 1000),
    "--checkpoint-dir": ("s3://bucket/checkpoints", "s3://bucket/checkpoints"),
    "--delivery": ("exactly-once", Delivery.EXACTLY_ONCE),
    "--no-model": ("dead-letter", NoModelPolicy.DEAD_LETTER),
    "--buffer-limit": ("0", 0),
    "--keep-versions": ("1", 1),
    "--record-type": (
        "tests.protos.sensorreading_pb2:SensorReading",
        "tests.protos.sensorreading_pb2:SensorReading",
    ),
    "--model-size-limit": ("1", 1),
    "--model-key-file": (str(KEYS), str(KEYS)),
    "--missing": ("pass", MissingPolicy.PASS),
    "--failure-threshold": ("0", 0),
    "--load-timeout-s": ("1", 1),
    "--trial-timeout-s": ("0", 0),
    "--trial-memory-limit": ("1", 1),
    "--unpacked-size-limit": ("1", 1),
    "--pmml-size-limit": ("1", 1),
    "--restart-attempts": ("0", 0),
    "--model-store": ("memory://models", "memory://models"),
    "--inline-limit": ("0", 0),
    "--model-store-retention-h": ("0.5", 0.5),
    "--remote-timeout-ms": ("1", 1),
    "--remote-outage": ("dead-letter", OutagePolicy.DEAD_LETTER),
    "--remote-headers-file": (str(HEADERS), str(HEADERS)),
    "--remote-ca-file": (str(CERTIFICATE), str(CERTIFICATE)),
    "--state-backend": ("rocksdb", StateBackend.ROCKSDB),
    "--allow-locations": ("/models, http://[::1]:8501/", ("/models", "http://[::1]:8501/")),
}


def test_the_lists_of_these_tests_are_complete() -> None:
    assert {attribute(flag) for flag in OTHERS} == ATTRIBUTES
    assert {attribute(flag) for flag in DEFAULTS} == ATTRIBUTES - {"checkpoint_dir"}


def test_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path.resolve())
    expected = {attribute(flag): value for flag, value in DEFAULTS.items()}
    assert asdict(parse()) == expected | {
        "checkpoint_dir": f"file://{here}/checkpoints",
        "base_dir": here,
        "host": "",
        "run": "",
        "claims_stored": False,
        "dead_letter_limit": None,
        "result_limit": None,
    }


@pytest.mark.parametrize(
    ("flag", "text", "value"), [(flag, *pair) for flag, pair in OTHERS.items()], ids=list(OTHERS)
)
def test_a_flag_comes_from_the_command_line_else_from_the_environment(
    flag: str, text: str, value: object
) -> None:
    plain = asdict(parse())
    expected = plain | {attribute(flag): value}
    assert expected != plain
    assert asdict(parse(flag, text)) == expected
    assert asdict(parse(f"{flag}={text}")) == expected
    assert asdict(parse(**{variable(flag): text})) == expected
    # The flag wins over the environment, even if the value there is wrong.
    assert asdict(parse(flag, text, **{variable(flag): ""})) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("1", True),
        ("YES", True),
        ("on", True),
        ("false", False),
        ("0", False),
        ("no", False),
        ("off", False),
        ("", False),
    ],
)
def test_bounded_is_a_switch(text: str, value: bool) -> None:
    assert parse("--bounded").bounded is True
    assert parse("--bounded", MODEL_SERVING_BOUNDED="false").bounded is True
    assert parse(MODEL_SERVING_BOUNDED=text).bounded is value
    assert parse(f"--bounded={text}").bounded is value


def test_a_checkpoint_path_becomes_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = tmp_path.resolve()
    assert parse("--checkpoint-dir", "a/b").checkpoint_dir == f"file://{here}/a/b"
    assert parse("--checkpoint-dir", f"{here}/c").checkpoint_dir == f"file://{here}/c"
    assert parse("--checkpoint-dir", "hdfs://host/c").checkpoint_dir == "hdfs://host/c"


def test_large_models_are_kept_beside_the_checkpoints_unless_a_store_is_named(tmp_path: Path) -> None:
    assert parse(f"--checkpoint-dir={tmp_path}/").serving.model_store == f"file://{tmp_path}/models"
    assert parse(f"--model-store={tmp_path}").serving.model_store == f"file://{tmp_path}"
    # Flink has a client of its own for this place and Python has none: the job must still run.
    assert parse("--checkpoint-dir=s3://bucket/c").serving.model_store == ""


def test_help_names_every_flag_its_default_and_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse("--help")
    said = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 0
    for flag in OTHERS:
        assert f"{flag} " in said
        assert f"; {variable(flag)})" in said
    assert "(default: localhost:9092; MODEL_SERVING_BOOTSTRAP_SERVERS)" in said


def test_what_the_operators_are_told() -> None:
    config = parse("--no-model=drop", "--buffer-limit=7", "--bounded", "--keep-versions=2", "--data-topic=d")
    assert config.serving == ServingSettings(
        record_type="model_serving.protos.winerecord_pb2:WineRecord",
        models_topic="models",
        data_topic="d",
        waiting=WaitingPolicy(NoModelPolicy.DROP, 7, bounded=True),
        keep_versions=2,
        base_dir=str(Path.cwd()),
        model_size_limit=256 * 1024 * 1024,
        failure_threshold=5,
        trial_timeout_s=60,
        trial_memory_limit=4 * 1024**3,
        unpacked_size_limit=2 * 1024**3,
        pmml_size_limit=64 * 1024**2,
        model_store=f"file://{Path.cwd()}/checkpoints/models",
        inline_limit=1024 * 1024,
        model_store_retention_ms=168 * 60 * 60 * 1000,
        stats_topic="model-stats",
        bootstrap_servers="localhost:9092",
    )
    assert config.topics == ("models", "d", "results", "dead-letters", "model-status", "model-stats")


def test_without_statistics_there_is_no_topic_for_them() -> None:
    config = parse("--stats-topic=")
    assert config.serving.stats_topic == ""
    assert config.topics == ("models", "mdata", "results", "dead-letters", "model-status")
    assert "" not in topic_settings(config.topic_names)
    assert config.topic_names.prefixed("mine-").stats == ""


def test_python_without_a_shared_library_cannot_be_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "find_libpython", lambda: None)
    assert config._best_execution_mode() is ExecutionMode.PROCESS
    monkeypatch.setattr(config, "find_libpython", lambda: "/usr/lib/libpython3.11.so")
    assert config._best_execution_mode() is ExecutionMode.THREAD
