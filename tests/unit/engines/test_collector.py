"""No cyclic collection while a large document is loaded, and one again afterwards, whatever happens."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement

import pytest

from model_serving.engines.collector import collector_paused, dismantle


@pytest.fixture(autouse=True)
def enabled_afterwards() -> Iterator[None]:
    assert gc.isenabled()
    yield
    was = gc.isenabled()
    gc.enable()
    assert was


def test_pauses_until_the_last_of_those_that_overlap_ends() -> None:
    first, second = collector_paused(), collector_paused()
    first.__enter__()
    second.__enter__()
    assert not gc.isenabled()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_an_error_ends_the_pause() -> None:
    with pytest.raises(KeyError), collector_paused():
        raise KeyError
    assert gc.isenabled()


def test_leaves_a_collector_off_that_was_off() -> None:
    gc.disable()
    with collector_paused():
        pass
    assert not gc.isenabled()
    gc.enable()


def test_a_dismantled_tree_holds_nothing() -> None:
    class Watched(Element):
        """Python's own elements in C take no weak references."""

    root = Element("root")
    held = []
    for _ in range(3):
        branch = SubElement(root, "branch")
        leaf = Watched("leaf")
        branch.append(leaf)
        held.append(weakref.ref(leaf))
    del branch, leaf
    with collector_paused():
        dismantle(root)
        assert [leaf() for leaf in held] == [None] * 3
    assert len(root) == 0
