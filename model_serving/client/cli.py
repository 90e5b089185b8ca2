"""The ``model-serving`` command: its command line, and how what goes wrong is said."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from confluent_kafka import KafkaException

from model_serving.client import commands
from model_serving.client.decoding import Kind
from model_serving.client.errors import ClientError, WrongCall
from model_serving.client.record_files import DEFAULT_RECORD_TYPE
from model_serving.core.messages import Reason
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.topics import TopicNames
from model_serving.runtime.errors import SetupError
from model_serving.runtime.variables import variable as variable_of

__all__ = ["main"]

_PROGRAM = "model-serving"
_REASONS = [reason.name for reason in Reason if reason]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a call on one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; gives the exit status: 0, 1 with one line on standard error, 2 for a wrong call."""
    options = _build_parser().parse_args(argv)
    # SIGINT too: a shell starts background jobs with it ignored, and then `kill -INT` would do nothing.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    command: Callable[[argparse.Namespace], None] = options.run
    try:
        command(options)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; nothing is left to say, at exit neither.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ClientError, MessagingError, SetupError) as error:
        print(f"{_PROGRAM} {options.command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, WrongCall) else 1
    except KafkaException as error:
        print(
            f"{_PROGRAM} {options.command}: Kafka refused ({error.args[0].str()}): look at its log",
            file=sys.stderr,
        )
        return 1
    return 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM, description="Models and records in, results out: the client of the serving jobs."
    )
    families = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = families.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        _add_setting(
            command, "--bootstrap-servers", "localhost:9092", "the Kafka to talk to", metavar="HOST:PORT"
        )
        _add_setting(
            command, "--kafka-config", "", "client properties for a Kafka with TLS or a login", metavar="FILE"
        )
        return command

    broker = add(
        "broker", commands.run_broker, "Run an embedded Kafka until Ctrl-C, with the topics of a job."
    )
    broker.add_argument("--port", type=_port, default=None, help="where it listens (default: 9092)")
    broker.add_argument(
        "--data-dir", type=Path, metavar="D", help="where its data goes (default: a temporary folder)"
    )
    broker.add_argument(
        "--keep", action="store_true", help="go on with the data of the last run, and leave it there"
    )
    broker.add_argument("--partitions", type=_count, default=1, help="of each topic (default: 1)")
    _add_topics(broker, *Kind)

    models = add(
        "publish-models",
        commands.run_publish_models,
        "Publish models in turn; what they are is told from their content.",
    )
    models.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="model files and SavedModel folders (default: the sample models)",
    )
    models.add_argument("--data-type", default="wine", help="the records they score (default: wine)")
    models.add_argument(
        "--interval-s",
        type=_not_negative,
        help="seconds from one model to the next (default: 60; with --once 0)",
    )
    models.add_argument("--once", action="store_true", help="publish each model once, instead of for ever")
    models.add_argument("--by-location", action="store_true", help="send where the model is, not its bytes")
    _add_key_file(models)
    _add_topics(models, Kind.MODELS)

    data = add("publish-data", commands.run_publish_data, "Publish records from a CSV file at a steady rate.")
    data.add_argument(
        "csv",
        nargs="?",
        type=Path,
        metavar="CSV",
        help="`;` or `,` separated, header or none (default: the sample records, for ever)",
    )
    data.add_argument("--data-type", default="wine", help="the models that score them (default: wine)")
    data.add_argument("--rate", type=_rate, default=1.0, help="records a second (default: 1)")
    data.add_argument("--count", type=_count, metavar="N", help="stop after N records")
    data.add_argument("--loop", action="store_true", help="start again at the end of the file")
    _add_record_type(data)
    _add_topics(data, Kind.DATA)

    read = add("read", commands.run_read, "Print the messages of a topic as they come.")
    read.add_argument("topic", metavar="TOPIC", help="one of the job's topics")
    read.add_argument(
        "--as",
        dest="kind",
        choices=[kind.value for kind in Kind],
        help="what the messages are (default: told from the topic's name)",
    )
    read.add_argument("--count", type=_count, metavar="N", help="stop after N messages")
    read.add_argument("--from-beginning", action="store_true", help="start with the oldest message")
    read.add_argument("--json", action="store_true", help="one JSON object a line")
    _add_record_type(read)
    _add_topics(read, *Kind)

    status = add(
        "status", commands.run_status, "Show the model that serves each data type, and what it replaced."
    )
    status.add_argument("data_type", nargs="?", metavar="DATA_TYPE", help="only this one")
    status.add_argument("--json", action="store_true", help="one JSON object a line")
    _add_topics(status, Kind.STATUS)

    for name, text in (
        ("rollback", "Serve the version before the present one again."),
        ("remove", "Stop serving a data type."),
    ):
        command = add(name, commands.run_command, text)
        command.add_argument("data_type", metavar="DATA_TYPE", help="the records whose models it is about")
        _add_key_file(command)
        _add_topics(command, Kind.MODELS)

    checkpoints = add(
        "checkpoints",
        commands.run_checkpoints,
        "Show the checkpoints and savepoints from which a job can go on, the newest first.",
    )
    _add_setting(
        checkpoints, "--checkpoint-dir", "checkpoints", "the job's own, a path or a URI", metavar="FOLDER"
    )
    checkpoints.add_argument(
        "--last", action="store_true", help="the path of the newest alone, for `flink run -s`"
    )

    replay = add(
        "replay",
        commands.run_replay,
        "Send the messages of dead letters back to their topics, each once; after what was wrong is mended.",
    )
    replay.add_argument(
        "--reason",
        type=str.upper,
        choices=_REASONS,
        metavar="R",
        help=f"only those of this reason ({', '.join(_REASONS)})",
    )
    replay.add_argument(
        "--again", action="store_true", help="also those that were sent back before: start with the oldest"
    )
    replay.add_argument("--dry-run", action="store_true", help="send nothing, count only")
    _add_topics(replay, Kind.DEAD_LETTERS)
    return parser


_TOPIC_FLAGS = {
    Kind.MODELS: ("--models-topic", TopicNames().models),
    Kind.DATA: ("--data-topic", TopicNames().data),
    Kind.RESULTS: ("--results-topic", TopicNames().results),
    Kind.DEAD_LETTERS: ("--dead-letter-topic", TopicNames().dead_letters),
    Kind.STATUS: ("--status-topic", TopicNames().status),
}


def _add_topics(parser: argparse.ArgumentParser, *kinds: Kind) -> None:
    for kind in kinds:
        flag, default = _TOPIC_FLAGS[kind]
        _add_setting(parser, flag, default, f"topic of the {kind.value.replace('-', ' ')}", metavar="TOPIC")


def _add_record_type(parser: argparse.ArgumentParser) -> None:
    _add_setting(
        parser,
        "--record-type",
        DEFAULT_RECORD_TYPE,
        "the protobuf message of a record",
        metavar="MODULE:CLASS",
    )


def _add_key_file(parser: argparse.ArgumentParser) -> None:
    _add_setting(
        parser, "--model-key-file", "", "sign what is published with the first key in it", metavar="FILE"
    )


def _add_setting(
    parser: argparse.ArgumentParser, flag: str, default: str, text: str, *, metavar: str
) -> None:
    """A flag that the jobs have too, and that the same environment variable sets."""
    variable = variable_of(flag)
    parser.add_argument(
        flag,
        default=os.environ.get(variable) or default,
        metavar=metavar,
        help=f"{text} (default: {default or 'none'}; environment: {variable})",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is no port: give a number from 1 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of things: give a whole number from 1 up")
    return int(text)


def _rate(text: str) -> float:
    rate = _not_negative(text)
    if rate == 0:
        raise argparse.ArgumentTypeError("give more than 0 records a second")
    return rate


def _not_negative(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 0 up")
    return number


if __name__ == "__main__":
    sys.exit(main())
