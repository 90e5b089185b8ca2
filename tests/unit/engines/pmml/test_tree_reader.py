"""Trees that are read ahead, by a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from model_serving.engines.pmml.column_reading import read_columns
from model_serving.engines.pmml.tree_reader import NotInColumns, TreeReader
from model_serving.engines.pmml.xml_columns import XmlColumns

LEVELS = [10] * 9
AHEAD = 4


def tree(place: int) -> XmlColumns | None:
    content = b'<Node id="%d"><True/></Node>' % place
    return read_columns(content, 0, len(content), "utf-8", str)


@contextmanager
def reader(
    read: Callable[[int], XmlColumns | None] = tree, most_elements: int = 1000
) -> Iterator[TreeReader]:
    with closing(TreeReader(read, LEVELS, most_elements)) as made:
        yield made
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-trees")]


@pytest.mark.parametrize("order", [range(9), range(8, -1, -1), (4, 0, 8)])
def test_each_tree_is_given_whatever_the_order(order: range) -> None:
    with reader() as trees:
        assert [trees.read(place).texts for place in order] == [[str(place)] for place in order]


def test_trees_are_read_while_the_one_before_is_used() -> None:
    later = threading.Event()

    def read(place: int) -> XmlColumns | None:
        if place == AHEAD:
            later.set()
        return tree(place)

    with reader(read) as trees:
        trees.read(0)
        assert later.wait(30)


def test_nothing_is_read_that_nobody_will_need_soon() -> None:
    begun = []

    def read(place: int) -> XmlColumns | None:
        begun.append(place)
        return tree(place)

    with reader(read):
        pass
    assert begun == []
    with reader(read) as trees:
        trees.read(0)
        trees.read(1)
    assert sorted(begun) == list(range(len(begun)))
    assert 2 <= len(begun) <= 2 + AHEAD


def test_the_rest_is_read_once() -> None:
    begun = []

    def read(place: int) -> XmlColumns | None:
        begun.append(place)
        return tree(place)

    with reader(read) as trees:
        trees.read(3)
        trees.read_rest()
    assert sorted(begun) == list(range(9))


def test_a_tree_that_cannot_be_read_is_said_when_it_is_asked_for() -> None:
    with reader(lambda place: None if place == 2 else tree(place)) as trees:
        assert trees.read(1).texts == ["1"]
        with pytest.raises(NotInColumns):
            trees.read(2)
    with reader(lambda place: None if place == 2 else tree(place)) as trees, pytest.raises(NotInColumns):
        trees.read_rest()


def test_all_trees_together_have_a_limit() -> None:
    with reader(most_elements=4) as trees:
        trees.read(0)
        trees.read(1)
        with pytest.raises(NotInColumns):
            trees.read(2)


def test_an_error_while_a_tree_is_read_is_raised_to_who_asks_for_it() -> None:
    def read(place: int) -> XmlColumns | None:
        raise MemoryError(str(place))

    with reader(read) as trees, pytest.raises(MemoryError, match="0"):
        trees.read(0)
