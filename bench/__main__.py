"""``python -m bench SECTION [flags]``: runs a section of the benchmark; ``python -m bench`` lists them."""

from __future__ import annotations

import argparse
import signal
import sys
from importlib import import_module
from typing import NoReturn

from bench.errors import BenchError
from model_serving.client.errors import ClientError
from model_serving.messaging.errors import MessagingError
from model_serving.runtime.errors import SetupError

__all__ = ["main"]

_SECTIONS = {
    "all": "every section, then the report",
    "backlog": "records a second after an outage",
    "latency": "the time from a record's send to its result",
    "beside": "what flags cost, by two jobs at the same time",
    "reporting": "what the reports of statistics do to the latency",
    "memory": "whether memory stays flat",
    "swap": "the cost of a swap to a 20 MB model",
    "checkpoints": "the cost of checkpoints while ten models of 20 MB serve",
    "scaling": "parallelism, large models, many data types",
    "counting": "what statistics add to a record, without Kafka",
    "engines": "microseconds a record in each engine",
    "remote": "records a second by a model server",
    "query": "how fast the query server answers while records are scored",
    "suites": "medians over the suites of real models",
    "profile": "processor time by thread",
    "capacity": "instances for a load, computed from the stored figures",
    "report": "write the stored figures into docs/benchmarks.md",
}


def main(words: list[str]) -> int:
    """Runs the section that the command line names, and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    sections = parser.add_subparsers(dest="section", required=True, metavar="SECTION")
    # Only the wanted section is imported, because some need libraries that take seconds to load.
    asked = next((word for word in words if not word.startswith("-")), "")
    for name, what in _SECTIONS.items():
        part = sections.add_parser(name, help=what, description=what)
        if name == asked:
            import_module(f"bench.{name}").add_arguments(part)
    arguments, others = parser.parse_known_args(words)
    if others and arguments.section != "all":
        parser.error(f"there is no {others[0]}: see python -m bench {arguments.section} --help")
    arguments.others = others
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return int(import_module(f"bench.{arguments.section}").run(arguments))
    except KeyboardInterrupt:
        print("bench: interrupted, everything is stopped", file=sys.stderr)
        return 130
    except (BenchError, ClientError, MessagingError, SetupError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _interrupt(*_: object) -> NoReturn:
    # One signal is enough. The stopping begins now, and no further signal may interrupt it.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
