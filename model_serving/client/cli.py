"""The ``model-serving`` command: runs a command, and reports an error on one line."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from confluent_kafka import KafkaException

from model_serving.client.errors import ClientError, WrongCall
from model_serving.client.hosts import QUERY_SERVER, SERVER
from model_serving.messaging.errors import MessagingError
from model_serving.runtime.errors import SetupError

if TYPE_CHECKING:
    from model_serving.messaging.access import KafkaAccess
    from model_serving.query.ports import Publisher

__all__ = ["main"]

_PROGRAM = "model-serving"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit status: 0, 1 for an error, 2 for a wrong call. An error is one line on standard error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name may have characters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == [SERVER]:
        return _run_server(arguments[1:])
    if arguments[:1] == [QUERY_SERVER]:
        return _run_query_server(arguments[1:])
    return _run_command(_joined(arguments))


def _run_command(arguments: Sequence[str]) -> int:
    # A server starts sooner without what the other commands need.
    from model_serving.client.command_line import build_parser
    from model_serving.client.printable import printable

    options = build_parser(_PROGRAM).parse_args(arguments)
    # A shell starts background jobs with SIGINT ignored. Without a handler `kill -INT` would do nothing.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    command: Callable[[argparse.Namespace], None] = options.run
    try:
        command(options)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # The reader of the output, `head` for example, has ended. Nothing must be written at exit either.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ClientError, MessagingError, SetupError) as error:
        print(printable(f"{_PROGRAM} {options.command}: {error}"), file=sys.stderr)
        return 2 if isinstance(error, WrongCall) else 1
    except KafkaException as error:
        refusal = f"Kafka refused ({error.args[0].str()}): look at its log"
        print(printable(f"{_PROGRAM} {options.command}: {refusal}"), file=sys.stderr)
        return 1
    return 0


def _joined(arguments: Sequence[str]) -> list[str]:
    """Makes ``--columns -,a,b`` one argument, because argparse would take the value for another flag."""
    from model_serving.client.record_columns import LEFT_OUT

    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--columns" and argument.startswith(f"{LEFT_OUT},"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _run_server(arguments: Sequence[str]) -> int:
    """The server reads its flags by itself, as the jobs do: from one table, and from the environment too."""
    from model_serving.server.run import main as run

    return run(arguments, os.environ, _publisher)


def _publisher(kafka: KafkaAccess, topic: str, key: bytes | None) -> Publisher:
    """What publishes the commands that come over HTTP, if the server answers there."""
    from model_serving.client.web_publishing import WebPublisher

    return WebPublisher(kafka, topic, key)


def _run_query_server(arguments: Sequence[str]) -> int:
    """The query server reads its flags in the same way."""
    from model_serving.client.web_publishing import WebPublisher
    from model_serving.query.run import main as run

    return run(arguments, os.environ, WebPublisher)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
