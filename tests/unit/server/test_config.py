"""The server's flags: its own, those of every host, and those that are refused."""

from __future__ import annotations

import socket

import pytest

from model_serving.events import LogFormat
from model_serving.flags import SHARED
from model_serving.server.config import FLAGS, parse_config


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host-7")
    config = parse_config([], {})
    assert (
        config.name,
        config.state_topic,
        config.workers,
        config.commit_interval_ms,
        config.log_format,
    ) == (
        "host-7",
        "model-serving-state",
        1,
        200,
        LogFormat.TEXT,
    )
    # Every content goes to the store: to the named one, or to the state topic in parts.
    assert (config.serving.inline_limit, config.serving.run, config.serving.claims_stored) == (
        0,
        "server",
        True,
    )


def test_flags_and_the_environment() -> None:
    environ = {"MODEL_SERVING_NAME": "two", "MODEL_SERVING_WORKERS": "3", "MODEL_SERVING_LOG_FORMAT": "json"}
    config = parse_config(["--name", "one", "--state-topic", "s"], environ)
    assert (config.name, config.workers, config.log_format, config.state_topic) == (
        "one",
        3,
        LogFormat.JSON,
        "s",
    )


def test_the_last_value_of_a_flag_counts() -> None:
    """Workers get the flags of the process that starts them, and their own after them."""
    config = parse_config(["--workers", "4", "--name", "one", "--workers", "1", "--name", "one-0"], {})
    assert (config.workers, config.name) == (1, "one-0")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--name", "a b"], "--name: 'a b' is not a name"),
        (["--name", "x" * 101], "--name: 'xxx"),
        (["--name", "größe"], "--name: 'größe' is not a name"),
        (["--workers", "0"], "--workers: "),
        (["--commit-interval-ms", "0"], "--commit-interval-ms: "),
        (["--log-format", "xml"], "--log-format: 'xml' is not one of: text, json"),
        (["--state-topic", "a/b"], "--state-topic: 'a/b' is not a topic name"),
        (["--state-topic", "models"], "--state-topic: 'models' is one of the other topics already"),
        (["--data-topic", "models"], "the topics must differ"),
        (["--inline-limit", "5"], "unrecognized arguments: --inline-limit 5"),
        (["--parallelism", "2"], "unrecognized arguments: --parallelism 2"),
        (["--checkpoint-interval-ms", "2"], "unrecognized arguments: --checkpoint-interval-ms 2"),
    ],
)
def test_a_wrong_flag_is_one_line_and_status_2(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config(flags, {})
    out, line = capsys.readouterr()
    assert (ended.value.code, out, line.count("\n")) == (2, "", 1)
    assert line.startswith(f"model-serving run: {said}")


def test_a_wrong_variable_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_config([], {"MODEL_SERVING_WORKERS": "many"})
    assert capsys.readouterr().err.startswith("model-serving run: --workers (from MODEL_SERVING_WORKERS): ")


def test_every_flag_of_all_hosts_is_here_but_the_inline_limit() -> None:
    own = {flag.name for flag in FLAGS}
    assert {flag.name for flag in SHARED} - own == {"inline-limit"}
    assert len(own) == len(FLAGS)
