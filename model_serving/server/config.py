"""The flags of ``model-serving run``: those of every host that apply to it, and its own."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model_serving.events import LogFormat
from model_serving.flags import SHARED, Flag, FlagParser, ServingConfig
from model_serving.flags.values import Wrong, read_choice, read_number, read_text, read_topic
from model_serving.query.config import HTTP_FLAGS, HttpSettings, read_host

__all__ = ["FLAGS", "PROGRAM", "ServerConfig", "parse_config"]

PROGRAM = "model-serving run"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig(ServingConfig):
    """A server as its flags describe it."""

    state_topic: str
    name: str
    workers: int
    commit_interval_ms: int
    http_port: int
    http_host: str
    token_file: tuple[bytes, ...] = field(repr=False)
    allow_hosts: tuple[str, ...]
    allow_origins: tuple[str, ...]
    upload_limit: int
    score_models: int
    score_timeout_s: int
    log_format: LogFormat

    @property
    def http(self) -> HttpSettings:
        """What listens on ``--http-port``, if that is not 0."""
        return HttpSettings(
            host=self.http_host,
            port=self.http_port,
            port_flag="--http-port",
            tokens=self.token_file,
            hosts=self.allow_hosts,
            origins=self.allow_origins,
            upload_limit=self.upload_limit,
            score_models=self.score_models,
            score_timeout_s=self.score_timeout_s,
        )

    def check(self, parser: FlagParser) -> None:
        """See ServingConfig."""
        if self.state_topic in self.topics:
            parser.refuse(f"--state-topic: '{self.state_topic}' is one of the other topics already")
        ServingConfig.check(self, parser)


def parse_config(argv: Sequence[str], environ: Mapping[str, str]) -> ServerConfig:
    """The configuration from the flags and, where a flag is not given, the environment.

    Raises:
        SystemExit: a flag is wrong (status 2, one line on stderr), or help was asked for (status 0).
    """
    parser = FlagParser(FLAGS, program=PROGRAM, description=_DESCRIPTION)
    values = parser.parse(argv, environ)
    # Every model goes to the model store, or to the state topic in parts: neither needs a limit for it.
    config = ServerConfig(
        **values, inline_limit=0, host="server", run="server", claims_stored=True, base_dir=str(Path.cwd())
    )
    config.check(parser)
    return config


_DESCRIPTION = (
    "Scores the records of a Kafka topic with models that arrive on another one, in this process: without "
    "Flink and without Java. Each flag can also be set as an environment variable."
)


def _read_name(text: str) -> str:
    name = text or socket.gethostname()
    if not _NAME.fullmatch(read_text(name)):
        raise Wrong(f"'{name}' is not a name: letters, digits, '.', '_' and '-', at most 100 of them")
    return name


_NOT_HERE = {"inline-limit"}
"""Flags of Flink jobs, whose state should stay small."""

_OWN = (
    Flag(
        "state-topic",
        "model-serving-state",
        read_topic,
        "what the server remembers: a compacted topic, which is created if it does not exist",
    ),
    Flag(
        "name",
        "",
        _read_name,
        "the name of this process among those that share the work; a second process with the same name takes "
        "over from the first; off: the name of the machine",
    ),
    Flag("workers", "1", read_number(1), "processes to start on this machine; they share the partitions"),
    Flag(
        "commit-interval-ms",
        "200",
        read_number(1),
        "milliseconds between commits; with exactly-once, results can be read after the commit",
    ),
    Flag(
        "http-port",
        "0",
        read_number(0),
        "the port of the query server in this process, with /healthz and /readyz; 0: none. Worker number n "
        "listens on the port n higher",
    ),
    Flag("http-host", "127.0.0.1", read_host, "the address of that port; 0.0.0.0: every one of this machine"),
    *HTTP_FLAGS,
    Flag(
        "log-format", "text", read_choice(LogFormat), "how events are written to standard error: text or json"
    ),
)

FLAGS = (*(flag for flag in SHARED if flag.name not in _NOT_HERE), *_OWN)
"""Every flag of the server."""
