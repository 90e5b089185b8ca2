"""The health check of the server's container: whether Kafka counts this server among those that read records.

It takes the server's own settings from the environment, and ends with status 0 or, with one line, 1.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from model_serving.messaging.connection import connect
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.groups import ask_members
from model_serving.server.config import parse_config
from model_serving.server.election import client_id

__all__ = ["main"]

_TIMEOUT_S = 5.0


def main(environ: Mapping[str, str]) -> int:
    """Returns the exit status."""
    config = parse_config([], environ)
    names = [config.name] if config.workers == 1 else [f"{config.name}-{n}" for n in range(config.workers)]
    try:
        asked = ask_members(connect(config.kafka), [config.data_group], timeout_s=_TIMEOUT_S)
    except MessagingError as failure:
        print(f"server_health: {failure}", file=sys.stderr)
        return 1
    members = asked.members(timeout_s=_TIMEOUT_S).get(config.data_group, [])
    if missing := sorted({client_id(name) for name in names} - set(members)):
        print(f"server_health: not in the group {config.data_group}: {', '.join(missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    # Ends at once: the client's own end would wait for Kafka.
    status = main(os.environ)
    sys.stderr.flush()
    os._exit(status)
