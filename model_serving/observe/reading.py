"""Reads the topics into a board: once to their end, or on and on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from model_serving.core.errors import UnparsableMessage
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.following import TopicFollower
from model_serving.messaging.receiving import Received, Start, TopicReader
from model_serving.observe.board import Board, Topic
from model_serving.observe.values import Letter, Place
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus

__all__ = ["BoardFeeder", "Health", "News", "fold", "read_board"]

_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class News:
    """A message that told something new of a data type. ``letter`` is what is kept of a dead letter.

    ``data_type`` is empty for a dead letter without one.
    """

    topic: Topic
    data_type: str
    letter: Letter | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How current a board is.

    ``ready``: it has all that the topics held at the start, and Kafka answers. ``caught_up``: the first of
    these alone. ``silent_s`` are the seconds since Kafka last answered, None if it never has. ``missing`` are
    topics that do not exist. ``trouble`` is one line about a topic that cannot be read, None if all can be.
    """

    ready: bool
    caught_up: bool
    silent_s: float | None
    missing: tuple[str, ...]
    trouble: str | None


def fold(board: Board, topic: Topic, received: Received) -> News | None:
    """Folds a message into the board. Returns it if it says something new; other bytes are passed over."""
    place, payload = Place(received.partition, received.offset), received.payload
    try:
        if topic is Topic.STATUS:
            status = ModelStatus.FromString(payload)
            return News(topic, status.dataType) if board.add_status(status, place) else None
        if topic is Topic.DEAD_LETTERS:
            letter = board.add_dead_letter(DeadLetter.FromString(payload), place)
            return None if letter is None else News(topic, letter.data_type, letter)
        # A message without a value deletes its key in a compacted topic.
        data_type = board.add_statistics(payload, place) if payload else None
        return None if data_type is None else News(topic, data_type)
    except (DecodeError, UnparsableMessage):
        return None


def read_board(kafka: KafkaAccess, topics: Mapping[str, Topic]) -> Board:
    """Returns a board of all that the topics hold now; ``topics``: name → what it holds.

    Raises:
        BrokerUnreachable: no Kafka broker answers.
        MessagingError: a topic does not exist, or Kafka refuses to let it be read.
    """
    board = Board()
    with TopicReader(kafka, list(topics), start=Start.BEGINNING) as reader:
        for received in reader.until_end():
            fold(board, topics[received.topic], received)
    return board


class BoardFeeder(threading.Thread):
    """A thread that keeps a board current.

    Args:
        board: the board.
        kafka: the access to Kafka, which may be away.
        topics: name → what it holds.

    Raises:
        MessagingError: the addresses cannot be used.
    """

    def __init__(self, board: Board, kafka: KafkaAccess, topics: Mapping[str, Topic]) -> None:
        super().__init__(name="board-feeder", daemon=True)
        self.board = board
        self.failure: BaseException | None = None
        """The error that ended the thread; there should be none."""
        self._topics = dict(topics)
        self._follower = TopicFollower(kafka, list(topics))
        self._ended = threading.Event()
        self._listeners: tuple[Callable[[list[News]], None], ...] = ()
        self._lock = threading.Lock()

    def listen(self, listener: Callable[[list[News]], None]) -> None:
        """Calls the listener, in this thread, with what is new after it was folded. It must be quick."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def forget(self, listener: Callable[[list[News]], None]) -> None:
        """Does not call the listener any more."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != listener)

    @property
    def health(self) -> Health:
        """How current the board is."""
        follower, alive = self._follower, self.failure is None
        return Health(
            ready=alive and follower.ready,
            caught_up=follower.caught_up,
            silent_s=follower.silent_s,
            missing=follower.missing,
            trouble=follower.trouble if alive else f"reading has ended ({self.failure}): start again",
        )

    def run(self) -> None:
        """Reads until ``stop`` is called."""
        try:
            with self._follower:
                generation = self._follower.generation
                while not self._ended.is_set():
                    messages = self._follower.poll(_LOOK_S)
                    if self._follower.generation != generation:
                        generation = self._follower.generation
                        self.board.clear()
                    self._take(messages)
        except Exception as error:  # noqa: BLE001 - whoever asks for the health must learn of any error
            self.failure = error

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        if self.is_alive():
            self.join()
        else:
            self._follower.close()

    def _take(self, messages: Iterable[Received]) -> None:
        told = [fold(self.board, self._topics[one.topic], one) for one in messages]
        news = [one for one in told if one is not None]
        if news:
            for listener in self._listeners:
                listener(news)
