"""``python -m bench all``: runs every section, then the report. Each section gets the flags that it knows."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from bench.errors import BenchError
from model_serving.client.errors import ClientError
from model_serving.messaging.errors import MessagingError
from model_serving.runtime.errors import SetupError

__all__ = ["SECTIONS", "add_arguments", "run"]

SECTIONS = (
    "backlog",
    "scaling",
    "latency",
    "swap",
    "checkpoints",
    "memory",
    "engines",
    "remote",
    "suites",
    "report",
)
"""The order matters: some sections take their rates from the figures of earlier ones."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds no flags: all flags are for the sections."""
    parser.epilog = "more flags go to the sections that know them, for example --set sample --resume"


def run(arguments: argparse.Namespace) -> int:
    """Runs every section with the flags in ``arguments.others`` that it knows, also after a section failed.

    Returns:
        The exit status: 1 when a section failed.

    Raises:
        BenchError: no section knows a flag.
    """
    parsed = {}
    unknown: set[str] | None = None
    for name in SECTIONS:
        parser = argparse.ArgumentParser(prog=f"python -m bench {name}", allow_abbrev=False)
        import_module(f"bench.{name}").add_arguments(parser)
        parsed[name], left = parser.parse_known_args(arguments.others)
        unknown = set(left) if unknown is None else unknown & set(left)
    if unknown:
        raise BenchError(f"no section knows {min(unknown)}: see python -m bench SECTION --help")
    status = 0
    for name in SECTIONS:
        print(f"=== {name}", flush=True)
        try:
            status = max(status, int(import_module(f"bench.{name}").run(parsed[name])))
        except (BenchError, ClientError, MessagingError, SetupError) as error:
            print(f"bench {name}: {error}", file=sys.stderr, flush=True)
            status = 1
    return status
