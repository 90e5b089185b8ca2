"""Prints the uids of a job's operators with each of some flags, without running it: a JSON list a line.

    python print_uids.py VARIANT [FLAGS [FLAGS …]]

Each FLAGS is one argument, the words in it parted by spaces.
"""

from __future__ import annotations

import json
import os
import sys

from flink_jobs.broadcast import broadcast
from flink_jobs.config import parse_config
from flink_jobs.environment import build_environment
from flink_jobs.keyed import keyed
from flink_jobs.run import assemble


def uids(variant: str, flags: list[str]) -> list[str | None]:
    config = parse_config(flags, {}, variant)
    env, tables = build_environment(config)
    assemble(env, tables, {"keyed": keyed, "broadcast": broadcast}[variant], config)
    # What executing does first; PyFlink completes and chains its operators there.
    graph = env._generate_stream_graph(clear_transformations=True)
    return [node.getTransformationUID() for node in graph.getStreamNodes().toArray()]


if __name__ == "__main__":
    for words in sys.argv[2:]:
        print(json.dumps(uids(sys.argv[1], words.split())))
    sys.stdout.flush()
    os._exit(0)
