"""The flags of the query server: of ``model-serving serve``, and of a host that serves the same routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.flags import SHARED, Flag, FlagParser
from model_serving.flags.values import Wrong, read_number, read_text
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.topics import MAX_MESSAGE_BYTES
from model_serving.query.tokens import read_tokens
from model_serving.settings import ServingSettings

__all__ = ["FLAGS", "HTTP_FLAGS", "PROGRAM", "HttpSettings", "QueryConfig", "parse_config", "read_host"]

PROGRAM = "model-serving serve"

_PORT = 5500
_KIBIBYTE = 1 << 10


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What a query server listens to, and whom it answers.

    ``hosts`` are further names that it may be asked by, besides those of this machine, if it listens on
    loopback; ``origins`` are the sites whose pages may read its answers. ``score_models`` is how many
    versions stay loaded for scoring; 0: records are not scored. ``port_flag`` names the port in errors.
    """

    host: str
    port: int
    port_flag: str
    tokens: tuple[bytes, ...] = field(repr=False, default=())
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    upload_limit: int = MAX_MESSAGE_BYTES
    score_models: int = 4
    score_timeout_s: int = 10


@dataclass(frozen=True, slots=True)
class QueryConfig:
    """A query server as its flags describe it. ``stats_topic`` is empty if there are no statistics."""

    kafka: KafkaAccess
    models_topic: str
    status_topic: str
    stats_topic: str
    dead_letter_topic: str
    model_key_file: str
    serving: ServingSettings
    http: HttpSettings


def parse_config(argv: Sequence[str], environ: Mapping[str, str]) -> QueryConfig:
    """The configuration from the flags and, where a flag is not given, the environment.

    Raises:
        SystemExit: a flag is wrong (status 2, one line on stderr), or help was asked for (status 0).
    """
    values = FlagParser(FLAGS, program=PROGRAM, description=_DESCRIPTION).parse(argv, environ)
    return QueryConfig(
        kafka=KafkaAccess(values["bootstrap_servers"], values["kafka_config"]),
        models_topic=values["models_topic"],
        status_topic=values["status_topic"],
        stats_topic=values["stats_topic"],
        dead_letter_topic=values["dead_letter_topic"],
        model_key_file=values["model_key_file"],
        serving=ServingSettings(
            models_topic=values["models_topic"],
            data_topic="",
            waiting=WaitingPolicy(NoModelPolicy.DROP, 0, bounded=True),
            keep_versions=1,
            base_dir=str(Path.cwd()),
            **{name: values[name] for name in _OF_SCORING},
        ),
        http=HttpSettings(
            host=values["host"],
            port=values["port"],
            port_flag="--port",
            tokens=values["token_file"],
            hosts=values["allow_hosts"],
            origins=values["allow_origins"],
            upload_limit=values["upload_limit"],
            score_models=values["score_models"],
            score_timeout_s=values["score_timeout_s"],
        ),
    )


_DESCRIPTION = (
    "Answers over HTTP what serves each data type, how well, and what was refused; with --token-file, takes "
    "commands. Each flag can also be set as an environment variable."
)

_OF_SCORING = (
    "record_type",
    "model_size_limit",
    "allow_locations",
    "model_key_file",
    "missing",
    "load_timeout_s",
    "trial_timeout_s",
    "trial_memory_limit",
    "unpacked_size_limit",
    "pmml_size_limit",
    "remote_timeout_ms",
    "remote_headers_file",
    "remote_ca_file",
)

_OF_TOPICS = (
    "bootstrap_servers",
    "kafka_config",
    "models_topic",
    "dead_letter_topic",
    "status_topic",
    "stats_topic",
)


def _read_tokens(text: str) -> tuple[bytes, ...]:
    try:
        return read_tokens(text) if text else ()
    except ValueError as error:
        raise Wrong(str(error)) from None


def _read_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(names):
        raise Wrong(f"'{text}' has an empty name: give names with commas between them")
    return names


def read_host(text: str) -> str:
    """An address to listen on, or a name of this machine."""
    return read_text(text).removeprefix("[").removesuffix("]")


def _read_port(text: str) -> int:
    if text.startswith("tcp://"):
        # Kubernetes sets MODEL_SERVING_PORT for a service named model-serving.
        return _PORT
    number = read_number(0)(text)
    if number > 65_535:
        raise Wrong(f"'{text}' is not a port: give a number from 1 to 65535, or 0 for a free one")
    return int(number)


def _read_upload_limit(text: str) -> int:
    number = int(read_number(1)(text))
    if number > MAX_MESSAGE_BYTES:
        raise Wrong(f"a message holds at most {MAX_MESSAGE_BYTES} bytes")
    return number


HTTP_FLAGS = (
    Flag(
        "token-file",
        "",
        _read_tokens,
        "tokens, one a line, one of which commands need; off: no commands are taken",
    ),
    Flag(
        "allow-hosts",
        "",
        _read_names,
        "further names, separated by commas, by which a server on a loopback address may be asked",
    ),
    Flag(
        "allow-origins",
        "",
        _read_names,
        "sites, separated by commas, whose pages may read the answers (CORS), such as https://example.org",
    ),
    Flag(
        "upload-limit",
        str(MAX_MESSAGE_BYTES - 64 * _KIBIBYTE),
        _read_upload_limit,
        "largest size of an uploaded model, in bytes",
    ),
    Flag(
        "score-models",
        "4",
        read_number(0),
        "versions that stay loaded to score single records; 0: records are not scored here",
    ),
    Flag("score-timeout-s", "10", read_number(1), "seconds after which a request to score is given up"),
)
"""The flags of every query server but its address."""

FLAGS = (
    Flag("host", "127.0.0.1", read_host, "the address to listen on; 0.0.0.0: every one of this machine"),
    Flag("port", str(_PORT), _read_port, "the port to listen on; 0: a free one"),
    *HTTP_FLAGS,
    *(flag for flag in SHARED if flag.attribute in {*_OF_SCORING, *_OF_TOPICS}),
)
"""Every flag of ``model-serving serve``."""
