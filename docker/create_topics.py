"""Creates the topics of both jobs of compose.yaml, with the settings of the `model-serving broker` command.

Both jobs read the same models and records; each has its own results, dead letters, statuses and statistics.
Topics that exist are not changed. MODEL_SERVING_BOOTSTRAP_SERVERS is the address of Kafka.
MODEL_SERVING_KAFKA_CONFIG names a file of client properties, if one is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from model_serving.messaging.access import KafkaAccess, read_kafka_config
from model_serving.messaging.connection import create_topics, wait_for_broker
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.topics import TopicNames

__all__ = ["BROADCAST", "KEYED", "main"]

KEYED = TopicNames()
BROADCAST = TopicNames(
    results="broadcast-results",
    dead_letters="broadcast-dead-letters",
    status="broadcast-model-status",
    stats="broadcast-model-stats",
)
_DEADLINE_S = 60.0


def main() -> int:
    """Creates the missing topics.

    Returns:
        The exit status: 0, or 1 with one line on standard error.
    """
    try:
        admin = wait_for_broker(_access(os.environ), deadline_s=_DEADLINE_S)
        for names in (KEYED, BROADCAST):
            create_topics(admin, names, partitions=1)
    except (MessagingError, ValueError) as failure:
        print(f"create_topics: {failure}", file=sys.stderr)
        return 1
    print(f"topics: {', '.join(sorted({*KEYED.all(), *BROADCAST.all()}))}")
    return 0


def _access(environ: Mapping[str, str]) -> KafkaAccess:
    """Returns the access to Kafka. Raises ValueError when the file of client properties cannot be used."""
    file = environ.get("MODEL_SERVING_KAFKA_CONFIG")
    return KafkaAccess(
        environ.get("MODEL_SERVING_BOOTSTRAP_SERVERS", "localhost:9092"),
        read_kafka_config(file) if file else {},
    )


if __name__ == "__main__":
    sys.exit(main())
