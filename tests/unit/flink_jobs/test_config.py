"""The flags of both jobs, as the contract lists them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from flink_jobs import config
from flink_jobs.config import (
    Delivery,
    ExecutionMode,
    JobConfig,
    StartingOffsets,
    StateBackend,
    parse_config,
)
from model_serving.core.model_servers.outage import OutagePolicy
from model_serving.core.scoring.input_policy import MissingPolicy
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.messaging.topics import topic_settings
from model_serving.settings import ServingSettings
from tests.patience import patience

ROOT = Path(__file__).resolve().parents[3]

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

FILLED_IN = {"base_dir", "host", "run", "claims_stored", "dead_letter_limit", "result_limit"}
"""Values that do not come from flags."""

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

WRONG = {
    "--bootstrap-servers": (
        ["", "localhost", ":9092", "localhost:", "localhost:0", "localhost:65536", "localhost:x", "a:1,,b:2"],
        "is not host:port, or several of them separated by commas",
    ),
    "--kafka-config": (["no/such/file"], "cannot be read"),
    "--models-topic": (["", "  "], "must not be empty"),
    "--data-topic": ([""], "must not be empty"),
    "--results-topic": (["my results", "a/b", "..", "x" * 250, "two\twords"], "is not a topic name"),
    "--dead-letter-topic": ([""], "must not be empty"),
    "--status-topic": ([""], "must not be empty"),
    "--stats-topic": (["my stats", "a/b"], "is not a topic name"),
    "--models-group": ([""], "must not be empty"),
    "--data-group": ([""], "must not be empty"),
    "--starting-offsets": (["", "newest"], "is not one of: committed, earliest, latest"),
    "--partition-discovery-interval-ms": (["", "-1", "10s"], "is not a whole number of 0 or more"),
    "--bounded": (["maybe", "2"], "is neither true nor false"),
    "--parallelism": (["", "0", "-1", "1.5", "two"], "is not a whole number of 1 or more"),
    "--execution-mode": (["", "Thread", "loopback"], "is not one of: thread, process"),
    "--checkpoint-interval-ms": (["", "-1", "5s"], "is not a whole number of 0 or more"),
    "--checkpoint-dir": (["", " "], "must not be empty"),
    "--delivery": (["", "twice", "exactly_once"], "is not one of: at-least-once, exactly-once"),
    "--no-model": (["", "ignore"], "is not one of: buffer, dead-letter, drop"),
    "--buffer-limit": (["", "-1", "many"], "is not a whole number of 0 or more"),
    "--keep-versions": (["", "0"], "is not a whole number of 1 or more"),
    "--record-type": (
        ["", "WineRecord", "no.such.module:Record", "model_serving.protos.winerecord_pb2:Beer"],
        ("is not of the form module:Message", "cannot be imported", "has no protobuf message"),
    ),
    "--model-size-limit": (["", "0"], "is not a whole number of 1 or more"),
    "--missing": (["", "drop"], "is not one of: reject, pass"),
    "--failure-threshold": (["", "-1"], "is not a whole number of 0 or more"),
    "--load-timeout-s": (["", "0", "1.5"], "is not a whole number of 1 or more"),
    "--trial-timeout-s": (["", "-1", "1.5"], "is not a whole number of 0 or more"),
    "--trial-memory-limit": (["", "0"], "is not a whole number of 1 or more"),
    "--unpacked-size-limit": (["", "0"], "is not a whole number of 1 or more"),
    "--pmml-size-limit": (["", "0", "64M"], "is not a whole number of 1 or more"),
    "--restart-attempts": (["", "-1"], "is not a whole number of 0 or more"),
    "--model-store": (
        ["zip://m::s3://bucket/a.zip", "s3://bucket/models", "nowhere://models"],
        (
            "is neither a path nor a URL without '::'",
            "Install s3fs to access S3",
            "Protocol not known: nowhere",
        ),
    ),
    "--inline-limit": (["", "-1", "1MB"], "is not a whole number of 0 or more"),
    "--model-store-retention-h": (["", "-1", "nan", "inf", "1d"], "is not a number of hours, 0 or more"),
    "--remote-timeout-ms": (["", "0", "10s"], "is not a whole number of 1 or more"),
    "--remote-outage": (["", "drop"], "is not one of: wait, dead-letter"),
    "--remote-headers-file": (["no/such/file", str(Path(__file__))], ("cannot be read", "is not a header")),
    "--remote-ca-file": (
        ["no/such/file", str(Path(__file__))],
        ("cannot be used (No such file or directory)", "it holds no certificate in PEM form"),
    ),
    "--state-backend": (["memory", "RocksDB"], "is not one of: hashmap, rocksdb"),
    "--model-key-file": (["no/such/file", str(Path(__file__))], ("cannot be read", "is not a key of")),
    "--allow-locations": (
        ["zip://m::s3://bucket/a.zip", "/models/../etc"],
        "is neither a path nor a URL without '::' and '..'",
    ),
}
WRONG_VALUES = [(flag, value, said) for flag, (values, said) in WRONG.items() for value in values]


def attribute(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def variable(flag: str) -> str:
    return "MODEL_SERVING_" + attribute(flag).upper()


def parse(*argv: str, **environ: str) -> JobConfig:
    return parse_config(argv, environ, "job.py")


def refused(capsys: pytest.CaptureFixture[str], *argv: str, **environ: str) -> str:
    """The line that a wrong call prints; its exit status must be 2."""
    with pytest.raises(SystemExit) as stopped:
        parse(*argv, **environ)
    said = capsys.readouterr()
    assert (stopped.value.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    return line.removeprefix("job.py: ")


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


def test_the_lists_of_these_tests_are_complete() -> None:
    flags = {field.name for field in fields(JobConfig)} - FILLED_IN
    assert {attribute(flag) for flag in OTHERS} == flags
    assert {attribute(flag) for flag in WRONG} == flags
    assert {attribute(flag) for flag in DEFAULTS} == flags - {"checkpoint_dir"}


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


def test_credentials_of_a_model_store_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "--model-store=s3://key:sec/r+et@bucket/models")
    assert line == (
        "--model-store: 's3://bucket/models' cannot be opened: Install s3fs to access S3 "
        "(here and on each TaskManager)"
    )
    config = parse("--model-store=memory://key:secret@models")
    assert "secret" not in f"{config!r} {config.serving!r}"
    assert "secret" in config.serving.model_store


@pytest.mark.parametrize(("flag", "value", "said"), WRONG_VALUES)
def test_a_wrong_value_is_one_line_that_names_the_flag_and_what_is_allowed(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, said: str | tuple[str, ...]
) -> None:
    line = refused(capsys, f"{flag}={value}")
    allowed = (said,) if isinstance(said, str) else said
    assert line.startswith(f"{flag}: ")
    assert any(text in line for text in allowed)
    assert value.strip().partition("\t")[0].partition(":")[0] in line
    name = variable(flag)
    assert refused(capsys, **{name: value}) == line.replace(f"{flag}:", f"{flag} (from {name}):", 1)


def test_exactly_once_needs_checkpoints(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--delivery=exactly-once", "--checkpoint-interval-ms=0") == (
        "--delivery exactly-once needs checkpoints, which commit its transactions: "
        "--checkpoint-interval-ms must be above 0"
    )
    assert parse("--checkpoint-interval-ms=0").checkpoint_interval_ms == 0


def test_the_topics_must_differ(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--results-topic=mdata").startswith("the topics must differ: ")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--colour", "red"], "unrecognized arguments: --colour red"),
        (["--parallel", "2"], "unrecognized arguments: --parallel 2"),
        (["somewhere"], "unrecognized arguments: somewhere"),
        (["--parallelism"], "argument --parallelism: expected one argument"),
    ],
)
def test_a_wrong_call_is_one_line(capsys: pytest.CaptureFixture[str], argv: list[str], said: str) -> None:
    assert refused(capsys, *argv) == said


def test_help_names_every_flag_its_default_and_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse("--help")
    said = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 0
    for flag in OTHERS:
        assert f"{flag} " in said
        assert f"; {variable(flag)})" in said
    assert "(default: localhost:9092; MODEL_SERVING_BOOTSTRAP_SERVERS)" in said


def test_the_old_name_of_the_record_type_leads_to_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "--record-type=protos.winerecord_pb2:WineRecord")
    assert line.startswith("--record-type: ")
    assert line.endswith(": it is called 'model_serving.protos.winerecord_pb2:WineRecord' now")
    assert "it is called" not in refused(capsys, "--record-type=protos.no_pb2:Record")


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


@pytest.mark.parametrize("variant", ["keyed", "broadcast"])
def test_a_wrong_flag_ends_the_script_before_anything_of_flink_is_imported(
    variant: str, tmp_path: Path
) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MODEL_SERVING_")}
    call = [sys.executable, "-X", "importtime", f"flink_jobs/{variant}.py", "--delivery", "twice"]
    start = time.monotonic()
    ended = subprocess.run(call, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    took_s = time.monotonic() - start
    imported = {
        line.rpartition("|")[2].strip()
        for line in ended.stderr.splitlines()
        if line.startswith("import time:")
    }
    said = [line for line in ended.stderr.splitlines() if not line.startswith("import time:")]
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said == [f"{variant}.py: --delivery: 'twice' is not one of: at-least-once, exactly-once"]
    assert "flink_jobs.config" in imported
    heavy = {"pyflink", "py4j", "tensorflow", "onnxruntime", "jpype", "pypmml"}
    assert {name.partition(".")[0] for name in imported} & heavy == set()
    assert took_s < patience(3)


def test_python_without_a_shared_library_cannot_be_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "find_libpython", lambda: None)
    assert config._best_execution_mode() is ExecutionMode.PROCESS
    monkeypatch.setattr(config, "find_libpython", lambda: "/usr/lib/libpython3.11.so")
    assert config._best_execution_mode() is ExecutionMode.THREAD
