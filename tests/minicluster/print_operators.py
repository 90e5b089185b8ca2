"""Prints a job's operators without running it, a JSON list a line for each of some sets of flags.

    python print_operators.py VARIANT [FLAGS [FLAGS …]]

Each FLAGS is one argument with words separated by spaces. For each operator its uid is printed and, if it is
in Python and has its own setting, the greatest number of elements in a bundle.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from flink_jobs.broadcast import broadcast
from flink_jobs.config import parse_config
from flink_jobs.environment import BUNDLE_SIZE, build_environment, stream_graph
from flink_jobs.keyed import keyed
from flink_jobs.run import assemble
from flink_jobs.topology import with_timers


def operators(variant: str, flags: list[str]) -> list[tuple[str | None, str]]:
    config = parse_config(flags, {}, variant)
    env, tables = build_environment(config)
    assemble(env, tables, {"keyed": keyed, "broadcast": broadcast}[variant], config)
    graph = stream_graph(env, variant, with_timers(config.bounded))
    return [(node.getTransformationUID(), _bundle_size(node)) for node in graph.getStreamNodes().toArray()]


def _bundle_size(node: Any) -> str:
    factory = node.getOperatorFactory()
    if factory.getClass().getSimpleName() != "SimpleOperatorFactory":
        return ""
    operator = factory.getOperator()
    if ".operators.python." not in operator.getClass().getName():
        return ""
    return str(operator.getConfiguration().getString(BUNDLE_SIZE, ""))


if __name__ == "__main__":
    for words in sys.argv[2:]:
        print(json.dumps(operators(sys.argv[1], words.split())))
    sys.stdout.flush()
    os._exit(0)
