"""The settings of the commands that the jobs have too, under the same names and environment variables."""

from __future__ import annotations

import argparse
import os

from model_serving.client.decoding import Kind
from model_serving.client.record_types import DEFAULT_RECORD_TYPE
from model_serving.client.trying.limits import LIMITS
from model_serving.messaging.topics import TopicNames

__all__ = ["add_key_file", "add_limits", "add_record_type", "add_setting", "add_topics"]

_ENVIRONMENT_PREFIX = "MODEL_SERVING_"

_TOPIC_FLAGS = {
    Kind.MODELS: ("--models-topic", TopicNames().models),
    Kind.DATA: ("--data-topic", TopicNames().data),
    Kind.RESULTS: ("--results-topic", TopicNames().results),
    Kind.DEAD_LETTERS: ("--dead-letter-topic", TopicNames().dead_letters),
    Kind.STATUS: ("--status-topic", TopicNames().status),
    Kind.STATISTICS: ("--stats-topic", TopicNames().stats),
}


def add_topics(parser: argparse.ArgumentParser, *kinds: Kind) -> None:
    """Adds the names of topics."""
    for kind in kinds:
        flag, default = _TOPIC_FLAGS[kind]
        add_setting(parser, flag, default, f"topic of the {kind.value.replace('-', ' ')}", metavar="TOPIC")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds the limits of models."""
    for flag in LIMITS:
        add_setting(parser, f"--{flag.name}", flag.default, flag.help, metavar="VALUE")


def add_record_type(parser: argparse.ArgumentParser, default: str = DEFAULT_RECORD_TYPE) -> None:
    """Adds the type of the records."""
    add_setting(
        parser,
        "--record-type",
        default,
        "the protobuf message of a record",
        metavar="MODULE:CLASS",
    )


def add_key_file(parser: argparse.ArgumentParser) -> None:
    """Adds the key that signs messages."""
    add_setting(
        parser, "--model-key-file", "", "sign the messages with the first key in this file", metavar="FILE"
    )


def add_setting(parser: argparse.ArgumentParser, flag: str, default: str, text: str, *, metavar: str) -> None:
    """Adds a flag that the jobs have too, and that the same environment variable sets."""
    variable = _ENVIRONMENT_PREFIX + flag.removeprefix("--").replace("-", "_").upper()
    title = "settings that the jobs have too"
    group = next((one for one in parser._action_groups if one.title == title), None)  # noqa: SLF001
    (group or parser.add_argument_group(title)).add_argument(
        flag,
        default=os.environ.get(variable) or default,
        metavar=metavar,
        help=f"{text} (default: {default or 'none'}; or set {variable})",
    )
