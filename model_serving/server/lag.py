"""How far this process is behind: the records of its partitions that it has not read yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["Lag"]

_EVERY_MS = 5_000


class Lag:
    """Records behind, as the Kafka client counts them. See ``query.ports.Lag``.

    The client knows the end of each partition from every answer of Kafka that has records of it, and from a
    request now and then if there are none; it compares the end with what it has handed out or committed
    (librdkafka's STATISTICS.md, ``consumer_lag``). Nothing is asked of Kafka for each look.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._behind: Mapping[tuple[str, int], int] = {}

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the consumer that reads the topic."""
        return {"statistics.interval.ms": _EVERY_MS, "stats_cb": self.take}

    def behind(self) -> Mapping[tuple[str, int], int]:
        """See ``query.ports.Lag``. It is at most five seconds old while the process serves."""
        return self._behind

    def forget(self) -> None:
        """Nothing is read any more."""
        self._behind = {}

    def take(self, statistics: str) -> None:
        """Takes what the client counts: a JSON object as STATISTICS.md describes it."""
        partitions = json.loads(statistics).get("topics", {}).get(self._topic, {}).get("partitions", {})
        self._behind = {
            (self._topic, one["partition"]): one["consumer_lag"]
            for one in partitions.values()
            # Others have no number yet (-1), or belong to another process.
            if one["fetch_state"] == "active" and one["consumer_lag"] >= 0
        }
