"""The command line: a wrong call is one line and status 2, any other error is one line and status 1."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import pytest

from model_serving.client import cli
from model_serving.client.ports import free_port, is_free
from model_serving.server.config import FLAGS
from tests.patience import patience

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_SERVING_BOOTSTRAP_SERVERS", raising=False)
    # The command installs handlers for good; pytest keeps its own.
    monkeypatch.setattr("signal.signal", lambda *_: None)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        status = cli.main(arguments)
    except SystemExit as exited:
        status = int(exited.code or 0)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["publish-data", "--rate", "0"], "--rate: give more than 0 records a second"),
        (["publish-data", "--rate", "fast"], "--rate: 'fast' is not a number from 0 up"),
        (["publish-data", "--count", "0"], "--count: '0' is not a count"),
        (["publish-models", "--interval-s", "-1"], "--interval-s: '-1' is not a number from 0 up"),
        (["broker", "--port", "70000"], "--port: '70000' is not a port"),
        (["read"], "TOPIC"),
        (["read", "x", "--as", "wine"], "--as: invalid choice: 'wine'"),
        (["read", "mdata", "--distinct"], "--distinct is for results, and 'mdata' has data: leave it out"),
        (["read", "x"], "give it with --as (models, data, results, dead-letters, status, statistics)"),
        (["publish-data", "--record-type", "absent:X"], "--record-type: "),
        (["rollback"], "DATA_TYPE"),
        (["remove", ""], "DATA_TYPE: give a name that is not empty"),
        (["publish-models", "--model-type", "h5"], "--model-type: 'h5' is not one of TENSORFLOW, "),
        (["stats"], "DATA_TYPE"),
        (["query", "--interval-s", "0"], "--interval-s: give a number above 0"),
        (["top", "--sort", "age"], "--sort: invalid choice: 'age'"),
        (["completion", "fish"], "shell: invalid choice: 'fish'"),
        (["dance"], "invalid choice: 'dance'"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert err.startswith("model-serving")


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("broker", "--port --data-dir --keep"),
        (
            "publish-models",
            (
                "--data-type --interval-s --once --by-location --inputs --output --result-output "
                "--signature-name --version --description --model-type --try --examples --record-type "
                "--missing"
            ),
        ),
        (
            "try",
            (
                "--fields --inputs --output --result-output --signature-name --model-type --record-type "
                "--json --missing --trial-timeout-s"
            ),
        ),
        ("publish-data", "--data-type --rate --count --loop --columns --record-type"),
        ("read", "--count --from-beginning --distinct --json"),
        ("status", "--json"),
        ("rollback", "--model-key-file"),
        ("remove", "--model-key-file"),
        ("replay", "--reason --dry-run --again"),
        ("checkpoints", "--last --checkpoint-dir"),
    ],
)
def test_the_help_of_a_command_names_its_flags_and_what_they_mean(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, flags: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = run(capsys, command, "--help")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    for flag in [*flags.split(), "--bootstrap-servers"]:
        assert re.search(rf"^  {flag}( |$)", out, re.MULTILINE), flag
    # The help shows a flag's default without the environment variable, also when the variable is set.
    monkeypatch.setenv("MODEL_SERVING_BOOTSTRAP_SERVERS", "elsewhere:1")
    assert "(default: localhost:9092" in run(capsys, command, "--help")[1]


def test_the_readme_has_a_row_for_each_detail_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "publish-models", "--help")
    details = out.partition("the description of the model")[2].partition("trying the models first")[0]
    table = README.partition("| flag of `publish-models` |")[2].partition("\n\n")[0]
    in_help = set(re.findall(r"^  (--[a-z-]+)", details, re.MULTILINE))
    assert set(re.findall(r"^\| `(--[a-z-]+)", table, re.MULTILINE)) == in_help | {"--by-location"}


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--help")
    assert status == 0
    for command in (
        "broker",
        "publish-models",
        "try",
        "publish-data",
        "read",
        "status",
        "rollback",
        "remove",
        "run",
    ):
        assert f"\n    {command}" in out
    assert "`model-serving COMMAND --help` shows the options of a command" in out


def test_the_server_reads_its_own_flags(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "run", "--help")
    assert (status, err) == (0, "")
    assert {f"--{flag.name}" for flag in FLAGS} == {*re.findall(r"^  (--[a-z-]+)", out, re.MULTILINE)}
    status, out, err = run(capsys, "run", "--parallelism", "2")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("model-serving run: ")


def test_whatever_a_wrong_call_has_in_it_it_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "read", "x\ny\x1b[2J")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert r"'x\ny\x1b[2J'" in err
    status, out, err = run(capsys, "publish-data", "--rate", "a\nb")
    assert (status, out, err.count("\n")) == (2, "", 1)


def test_a_file_that_is_no_model_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, err = run(capsys, "publish-models", "--once", str(tmp_path / "absent.pmml"))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert (
        "absent.pmml is not a model that can be served (No such file or directory): give a PMML file" in err
    )


def test_a_model_over_the_message_limit_is_one_line_that_names_the_way_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "huge.pmml"
    file.write_bytes(b"<PMML>" + b" " * 33_554_432 + b"</PMML>")
    status, out, err = run(capsys, "publish-models", "--once", str(file))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "a message holds at most 32 MiB: publish it by its location (--by-location)" in err


@pytest.mark.parametrize(
    "arguments", [["status"], ["read", "results"], ["remove", "wine"], ["publish-models"], ["publish-data"]]
)
def test_no_broker_is_one_line_within_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("model_serving.messaging.connection.UNREACHABLE_AFTER_S", 1.0)
    nowhere = f"127.0.0.1:{free_port()}"
    start = time.monotonic()
    status, _, err = run(capsys, *arguments, "--bootstrap-servers", nowhere)
    assert (status, err.count("\n")) == (1, 1)
    assert f"no Kafka answers at {nowhere}: start one (`model-serving broker`)" in err
    assert time.monotonic() - start < patience(10)


def test_a_bad_address_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_serving.messaging.connection.UNREACHABLE_AFTER_S", 1.0)
    status, _, err = run(capsys, "status", "--bootstrap-servers", "::/")
    assert (status, err.count("\n")) == (1, 1)


def test_a_taken_port_is_one_line_that_names_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert not is_free(port)
        assert free_port(preferred=port) != port
        status, _, err = run(capsys, "broker", "--port", str(port))
    assert (status, err) == (
        1,
        (
            f"model-serving broker: port {port} is taken by another program: stop it, "
            "or choose another port with --port\n"
        ),
    )
    assert is_free(port)


def test_the_broker_leaves_a_folder_with_other_things_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_serving.client.broker.embedded.ensure_jars", lambda *_: ())
    precious = tmp_path / "thesis.tex"
    precious.write_text("years of work")
    status, _, err = run(capsys, "broker", "--port", str(free_port()), "--data-dir", str(tmp_path))
    assert (status, err) == (
        1,
        (
            f"model-serving broker: {tmp_path} holds something else ('thesis.tex'): "
            "choose an empty or new folder as --data-dir\n"
        ),
    )
    assert precious.read_text() == "years of work"


def test_checkpoints_are_listed_and_the_last_one_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, err = run(capsys, "checkpoints", "--checkpoint-dir", str(tmp_path))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert f"no checkpoint was ever completed below {tmp_path}: name the job's --checkpoint-dir" in err

    last = tmp_path / ("0a" * 16) / "chk-7"
    last.mkdir(parents=True)
    (last / "_metadata").touch()
    assert run(capsys, "checkpoints", "--checkpoint-dir", str(tmp_path), "--last") == (0, f"{last}\n", "")
    status, out, err = run(capsys, "checkpoints", "--checkpoint-dir", str(tmp_path))
    assert (status, err) == (0, "")
    assert out.endswith(f"  checkpoint 7 of job {'0a' * 16}  {last}\n")
