"""Lists of data types: sorted by what their answers say, while messages go on being folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.statistics.distribution import Distribution
from model_serving.observe import board as board_module
from model_serving.observe import entries
from model_serving.observe.answers import DataType
from model_serving.observe.board import Board
from model_serving.observe.ranking import Order
from model_serving.observe.sources import StatisticsFold, added_up
from model_serving.observe.summaries import data_type_of
from model_serving.observe.values import Place, Standing
from model_serving.protos.deadletter_pb2 import DeadLetter
from tests.patience import patience
from tests.unit.observe.sent import active, letter, removed, statistics, waiting

_SHOWN: dict[Order, Callable[[DataType], float]] = {
    Order.SINCE: lambda one: one.since,
    Order.THROUGHPUT: lambda one: one.throughput,
    Order.SCORED: lambda one: one.scored,
    Order.FAILED: lambda one: one.failed,
    Order.DEAD_LETTERS: lambda one: one.dead,
    Order.WAITING: lambda one: one.waiting,
    Order.P50: lambda one: one.latency.p50,
    Order.P99: lambda one: one.latency.p99,
}
"""What an answer says of what it is sorted by."""

_NOW_MS = 10_000

Histories = dict[str, tuple[str, list[float], int, int]]

_HISTORIES = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(
        st.sampled_from(["unknown", "serves", "removed", "another version serves"]),
        st.lists(st.floats(0.5, 500), max_size=6),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    min_size=1,
)


def board_of(histories: Histories) -> Board:
    """A board of data types: what became of their model, latencies of two instances, letters, waiting."""
    board, offset = Board(lambda: _NOW_MS), 0

    def place() -> Place:
        nonlocal offset
        offset += 1
        return Place(0, offset)

    for name, (state, latencies, letters, wait) in histories.items():
        since = 100 * len(latencies)
        if state != "unknown":
            version = "v2" if state == "another version serves" else "v1"
            board.add_status(active(since, version, dataType=name), place())
        if state == "removed":
            board.add_status(removed(since + 1, dataType=name), place())
        if wait:
            board.add_status(waiting(since + 2, wait, dataType=name), place())
        for ts in (_NOW_MS - 1_000, _NOW_MS):
            for instance in ("0", "1"):
                for_this = latencies if ts == _NOW_MS else latencies[:1]
                fields = {"data_type": name, "instance": instance, "failed": letters}
                board.add_statistics(statistics(ts, for_this, **fields), place())
        for _ in range(letters):
            board.add_dead_letter(letter(1, DeadLetter.SCORING_FAILED, dataType=name), place())
    return board


@given(_HISTORIES, st.sampled_from(list(_SHOWN)), st.booleans())
def test_a_list_is_sorted_by_what_its_answers_say(
    histories: Histories, order: Order, descending: bool
) -> None:
    found = board_of(histories).data_types(order=order, descending=descending).data_types
    by_name = sorted(found, key=lambda one: one.data_type)
    assert list(found) == sorted(by_name, key=_SHOWN[order], reverse=descending)
    assert len(found) == len(histories)


@pytest.mark.parametrize("order", list(Order))
def test_only_what_is_shown_is_answered_in_full(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    board = board_of({f"type {number:03}": ("serves", [float(number + 1)], 0, 0) for number in range(250)})
    answered: list[str] = []

    def counted(
        name: str, standing: Standing, statistics: StatisticsFold, dead_letters: Mapping[str, int]
    ) -> DataType:
        answered.append(name)
        return data_type_of(name, standing, statistics, dead_letters)

    monkeypatch.setattr(board_module, "data_type_of", counted)
    page = board.data_types(order=order, descending=True, offset=10, limit=5)
    assert page.total == 250
    assert answered == [one.data_type for one in page.data_types]
    assert len(answered) == 5


def test_messages_are_folded_while_percentiles_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    board = board_of({name: ("serves", [1.0], 0, 0) for name in "abc"})
    folded: list[bool] = []

    def fold_meanwhile(parts: Iterable[Distribution]) -> Distribution:
        reader = Thread(
            target=lambda: folded.append(board.add_status(active(9_000, "v9"), Place(1, len(folded)))),
            daemon=True,
        )
        reader.start()
        reader.join(patience(10))
        return added_up(parts)

    monkeypatch.setattr(entries, "added_up", fold_meanwhile)
    found = board.data_types(order=Order.P99).data_types
    assert [one.data_type for one in found] == ["a", "b", "c"]
    assert folded == [True, True, True]


def test_a_percentile_is_computed_once_for_each_report(monkeypatch: pytest.MonkeyPatch) -> None:
    board = board_of({name: ("serves", [float(place + 1)], 0, 0) for place, name in enumerate("abc")})
    computed = 0

    def counted(parts: Iterable[Distribution]) -> Distribution:
        nonlocal computed
        computed += 1
        return added_up(parts)

    def slowest() -> str:
        return board.data_types(order=Order.P99, descending=True, limit=1).data_types[0].data_type

    monkeypatch.setattr(entries, "added_up", counted)
    assert (slowest(), slowest(), computed) == ("c", "c", 3)
    board.add_statistics(statistics(_NOW_MS + 1, [50.0, 50.0], data_type="a", instance="0"), Place(2, 0))
    assert (slowest(), computed) == ("a", 4)
