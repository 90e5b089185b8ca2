"""Keeps a board current in this thread, for the commands that show it again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Self

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.following import TopicFollower
from model_serving.observe.board import Board, Topic
from model_serving.observe.reading import fold

__all__ = ["Watch"]

_LOOK_S = 0.1
_OUTAGE_S = 5.0


class Watch:
    """A context manager that reads the topics into ``board`` while the command waits."""

    def __init__(self, kafka: KafkaAccess, topics: Mapping[str, Topic]) -> None:
        self.board = Board()
        self._topics = dict(topics)
        self._follower = TopicFollower(kafka, list(topics))
        self._generation = self._follower.generation

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._follower.close()

    def intervals(self, seconds: float) -> Iterator[None]:
        """Goes on once the topics were read to their end, then once an interval; reads in between."""
        while not self._follower.caught_up:
            self._read(_LOOK_S)
        due = time.monotonic()
        while True:
            yield
            due = max(due + seconds, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                self._read(min(_LOOK_S, left))

    @property
    def notes(self) -> list[str]:
        """What to know about the figures: one line each."""
        found = [f"there is no topic '{name}' yet" for name in self._follower.missing]
        silent_s = self._follower.silent_s
        if silent_s is not None and silent_s > _OUTAGE_S:
            found.append(f"Kafka has not answered for {silent_s:.0f} s: these are the last figures")
        return found + ([self._follower.trouble] if self._follower.trouble else [])

    def _read(self, seconds: float) -> None:
        received_now = self._follower.poll(seconds)
        if self._follower.generation != self._generation:
            self._generation = self._follower.generation
            self.board.clear()
        for received in received_now:
            fold(self.board, self._topics[received.topic], received)
