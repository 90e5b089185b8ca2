"""The ``model-serving`` command: runs what is asked for, and says what goes wrong on one line."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from confluent_kafka import KafkaException

from model_serving.client.command_line import build_parser
from model_serving.client.errors import ClientError, WrongCall
from model_serving.client.printable import printable
from model_serving.client.record_columns import LEFT_OUT
from model_serving.messaging.errors import MessagingError
from model_serving.runtime.errors import SetupError

__all__ = ["main"]

_PROGRAM = "model-serving"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; gives the exit status: 0, 1 with one line on standard error, 2 for a wrong call."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name may have characters that the terminal's encoding does not have.
            stream.reconfigure(errors="backslashreplace")
    options = build_parser(_PROGRAM).parse_args(_joined(sys.argv[1:] if argv is None else argv))
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
        print(printable(f"{_PROGRAM} {options.command}: {error}"), file=sys.stderr)
        return 2 if isinstance(error, WrongCall) else 1
    except KafkaException as error:
        refusal = f"Kafka refused ({error.args[0].str()}): look at its log"
        print(printable(f"{_PROGRAM} {options.command}: {refusal}"), file=sys.stderr)
        return 1
    return 0


def _joined(arguments: Sequence[str]) -> list[str]:
    """``--columns -,a,b`` as one argument: argparse would take its value for another flag."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--columns" and argument.startswith(f"{LEFT_OUT},"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
