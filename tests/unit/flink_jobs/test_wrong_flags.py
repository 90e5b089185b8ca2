"""Wrong flags of both jobs: each is one line, before anything of Flink is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.patience import patience
from tests.unit.flink_jobs.calls import ATTRIBUTES, attribute, parse, refused, variable

ROOT = Path(__file__).resolve().parents[3]

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


def test_there_are_wrong_values_of_every_flag() -> None:
    assert {attribute(flag) for flag in WRONG} == ATTRIBUTES


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


def test_the_old_name_of_the_record_type_leads_to_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "--record-type=protos.winerecord_pb2:WineRecord")
    assert line.startswith("--record-type: ")
    assert line.endswith(": it is called 'model_serving.protos.winerecord_pb2:WineRecord' now")
    assert "it is called" not in refused(capsys, "--record-type=protos.no_pb2:Record")


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
