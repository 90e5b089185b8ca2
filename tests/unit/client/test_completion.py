"""The shell completes what the parser knows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from model_serving.client import cli
from model_serving.client.command_line import build_parser
from model_serving.client.completion import SHELLS, completion_script
from model_serving.query.config import FLAGS as OF_QUERIES
from model_serving.server.config import FLAGS

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")

# What bash does when the user presses Tab after these words.
ASK = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_model_serving
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    flags = {
        command: [f"--{flag.name}" for flag in flags]
        for command, flags in {"run": FLAGS, "serve": OF_QUERIES}.items()
    }
    file = tmp_path_factory.mktemp("completion") / "model-serving.bash"
    file.write_text(completion_script(build_parser("model-serving"), "bash", flags))
    return file


def bash(*arguments: str) -> list[str]:
    done = subprocess.run(["bash", "-c", *arguments], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def completed(script: Path, *words: str) -> list[str]:
    return bash(ASK, "bash", str(script), "model-serving", *words)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["pub"], ["publish-models", "publish-data"]),
        (["--h"], ["--help"]),
        (["st"], ["status", "stats"]),
        (["status", "wine", "--his"], ["--history"]),
        (["read", "--as", "re"], ["results"]),
        (
            ["read", "results", "--as", "="],
            ["models", "data", "results", "dead-letters", "status", "statistics"],
        ),
        (["read", "results", "--as", "=", "d"], ["data", "dead-letters"]),
        (["top", "--sort", "through"], ["throughput"]),
        (["publish-models", "--model-type", "TENSORFLOW"], ["TENSORFLOW", "TENSORFLOWSAVED"]),
        (["completion", ""], ["bash", "zsh"]),
        (["completion", "--"], ["--help"]),
        (["run", "--state"], ["--state-topic"]),
        (["serve", "--tok"], ["--token-file"]),
        (["publish-data", ""], []),
        (["dance", ""], []),
    ],
)
def test_what_is_offered(script: Path, words: list[str], answer: list[str]) -> None:
    assert completed(script, *words) == answer


def test_every_command_and_flag_is_offered(script: Path) -> None:
    commands = completed(script, "")
    assert {"run", "serve", "broker", "stats", "top", "query", "completion"} <= set(commands)
    for command in commands:
        assert "--bootstrap-servers" in completed(script, command, "--") or command == "completion"


def test_bash_calls_the_function_and_else_completes_files(script: Path) -> None:
    told = bash('source "$1"; complete -p model-serving', "bash", str(script))
    assert told == ["complete", "-o", "default", "-F", "_model_serving", "model-serving"]


def test_the_command_prints_what_a_shell_can_read(
    script: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    printed = []
    for shell in SHELLS:
        assert cli.main(["completion", shell]) == 0
        printed.append(capsys.readouterr().out)
    for_bash, for_zsh = printed
    assert for_bash == script.read_text()
    assert for_zsh.endswith(for_bash)
    assert "bashcompinit" in for_zsh.removesuffix(for_bash)
