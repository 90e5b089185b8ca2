"""Prints one line an interval: what serves, since when, and how long it takes for a record."""

from __future__ import annotations

import sys
from itertools import islice

from model_serving.client.errors import ClientError
from model_serving.client.observing.figures import as_count, as_ms
from model_serving.client.observing.topics import ObservedTopics, check_topics
from model_serving.client.observing.watching import Watch
from model_serving.client.printable import as_moment, printable
from model_serving.messaging.access import KafkaAccess
from model_serving.observe.answers import DataType
from model_serving.observe.board import Board, Topic

__all__ = ["query"]

_MOST = 10_000


def query(
    kafka: KafkaAccess,
    topics: ObservedTopics,
    data_type: str | None,
    *,
    interval_s: float,
    count: int | None,
) -> None:
    """Prints a line for the data type, or for each one that is served, every ``interval_s`` seconds.

    Args:
        kafka: the access to Kafka.
        topics: the topics' names.
        data_type: None: all.
        interval_s: seconds.
        count: how many intervals; None: for ever.

    Raises:
        BrokerUnreachable: no Kafka broker answers at the start.
        ClientError: there is no statistics topic at the start, or nothing is known of the data type.
    """
    wanted = topics.kinds(Topic.STATUS, Topic.STATISTICS)
    check_topics(kafka, wanted)
    with Watch(kafka, wanted) as watch:
        for _ in islice(watch.intervals(interval_s), count):
            for note in watch.notes:
                print(printable(note), file=sys.stderr)
            for line in _lines(watch.board, data_type):
                print(printable(line))
            sys.stdout.flush()


def _lines(board: Board, data_type: str | None) -> list[str]:
    if data_type is None:
        shown = [one for one in board.data_types(limit=_MOST).data_types if one.state != "NONE"]
        return [_line(one) for one in shown] or ["no model serves yet"]
    answer = board.data_type(data_type)
    if answer is None:
        raise ClientError(
            f"no job has reported a model for '{data_type}': publish one (`model-serving publish-models`), "
            "and check that a job runs"
        )
    return [_line(answer)]


def _line(answer: DataType) -> str:
    if answer.state != "ACTIVE":
        gone = f" since {as_moment(answer.since)}" if answer.since else " yet"
        return f"{answer.data_type}: no model serves{gone}"
    times = answer.scoring
    figures = "no record scored yet"
    if times.count:
        figures = (
            f"average={as_ms(times.mean)} ms  min={as_ms(times.min)} ms  max={as_ms(times.max)} ms  "
            f"records={as_count(answer.scored)}"
        )
    return (
        f"{answer.data_type}: name={answer.name}  description={answer.description or '-'}  "
        f"since={as_moment(answer.since)}  {figures}"
    )
