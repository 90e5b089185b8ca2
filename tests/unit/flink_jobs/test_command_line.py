from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import flink_jobs.config
import flink_jobs.preflight
from flink_jobs import command_line
from flink_jobs.config import JobConfig
from flink_jobs.handover import Handover
from flink_jobs.preflight import Checked, PreflightError
from model_serving.runtime.flink_home import FlinkHome


@dataclass
class Calls:
    """A record of the flags that the command line checked, and of the command that it ran."""

    parsed: list[tuple[Sequence[str], str]] = field(default_factory=list)
    ran: list[tuple[list[str], dict[str, str], bool]] = field(default_factory=list)
    broker_is_up: bool = True


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The command line with stand-ins for Flink, the broker and processes."""
    seen = Calls()
    defaults = flink_jobs.config.parse_config([], {}, "defaults")

    def parse_config(argv: Sequence[str], environ: Mapping[str, str], program: str) -> JobConfig:
        seen.parsed.append((argv, program))
        if "twice" in argv:
            print("--delivery: 'twice' is not allowed", file=sys.stderr)
            raise SystemExit(2)
        return defaults

    def check_broker(config: JobConfig) -> Checked:
        assert config is defaults
        if not seen.broker_is_up:
            raise PreflightError("no Kafka at localhost:9092; start one")
        return Checked(1_000_000, 2_000_000, ("the topic 'results' did not exist and was created",))

    def run(
        command: Sequence[str | os.PathLike[str]], environment: Mapping[str, str], *, drop_abort_trace: bool
    ) -> int:
        seen.ran.append(([str(part) for part in command], dict(environment), drop_abort_trace))
        return 7

    monkeypatch.setattr(flink_jobs.config, "parse_config", parse_config)
    monkeypatch.setattr(flink_jobs.preflight, "check_broker", check_broker)
    monkeypatch.setattr(command_line, "flink_home", lambda: FlinkHome(Path("/home/flink")))
    monkeypatch.setattr(command_line, "flink_environment", dict)
    monkeypatch.setattr(command_line, "run_supervised", run)
    monkeypatch.setattr(command_line, "project_root", lambda: Path("/project"))
    for name in [name for name in os.environ if name.startswith("MODEL_SERVING_")] + ["FLINK_REST"]:
        monkeypatch.delenv(name, raising=False)
    return seen


def test_a_job_is_checked_before_it_is_run(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    status = command_line.main(["run", "-p", "3", "-py", "/x/flink_jobs/keyed.py", "--bounded"])
    ((command, environment, drops),) = calls.ran
    assert status == 7
    assert calls.parsed == [(("--bounded",), "keyed.py")]
    assert command == [
        *("/home/flink/bin/flink", "run", "-t", "local"),
        *("-p", "3", "-py", "/x/flink_jobs/keyed.py", "--", "--bounded"),
    ]
    assert drops
    assert capsys.readouterr().err == "keyed.py: the topic 'results' did not exist and was created\n"
    assert {name: value for name, value in environment.items() if name.startswith("MODEL_SERVING_")} == {
        "MODEL_SERVING_PREFLIGHT": Handover(
            1_000_000, 2_000_000, ("-p", "3", "-py", "/x/flink_jobs/keyed.py", "--bounded")
        ).text(),
        "MODEL_SERVING_PARALLELISM": "3",
    }


def test_a_variable_the_user_set_is_not_replaced(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_SERVING_PARALLELISM", "2")
    command_line.main(["run", "-p", "3", "-py", "/x/flink_jobs/broadcast.py"])
    assert calls.ran[0][1]["MODEL_SERVING_PARALLELISM"] == "2"


def test_a_wrong_flag_ends_before_flink_is_started(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line.main(["run", "-py", "/x/flink_jobs/keyed.py", "--delivery", "twice"])
    assert (caught.value.code, capsys.readouterr().err) == (2, "--delivery: 'twice' is not allowed\n")
    assert calls.ran == []


def test_an_absent_broker_ends_before_flink_is_started(
    calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    calls.broker_is_up = False
    assert command_line.main(["run", "-py", "/x/flink_jobs/keyed.py"]) == 1
    assert (capsys.readouterr().err, calls.ran) == ("keyed.py: no Kafka at localhost:9092; start one\n", [])


def test_other_calls_go_to_flink_unchecked(calls: Calls) -> None:
    command_line.main(["list", "-a"])
    ((command, environment, drops),) = calls.ran
    assert (command, calls.parsed, drops) == (["/home/flink/bin/flink", "list", "-a"], [], False)
    assert "MODEL_SERVING_PREFLIGHT" not in environment
