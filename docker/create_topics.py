"""Creates the topics of both jobs of compose.yaml, with the settings of the `model-serving broker` command.

Both read the same models and records; each has its own results, dead letters and statuses. What is there
already stays as it is.
"""

from __future__ import annotations

import os
import sys

from model_serving.messaging.connection import create_topics, wait_for_broker
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.topics import TopicNames

KEYED = TopicNames()
BROADCAST = TopicNames(
    results="broadcast-results", dead_letters="broadcast-dead-letters", status="broadcast-model-status"
)
_DEADLINE_S = 60.0


def main() -> int:
    """Status 0, or 1 and one line on standard error."""
    servers = os.environ.get("MODEL_SERVING_BOOTSTRAP_SERVERS", "localhost:9092")
    try:
        admin = wait_for_broker(servers, deadline_s=_DEADLINE_S)
        for names in (KEYED, BROADCAST):
            create_topics(admin, names, partitions=1)
    except MessagingError as failure:
        print(f"create_topics: {failure}", file=sys.stderr)
        return 1
    print(f"topics: {', '.join(sorted({*KEYED.all(), *BROADCAST.all()}))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
