"""The state of the admitting member: what it wrote itself is seen at once, and dropped when all have it."""

from __future__ import annotations

import pytest

from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.mirror import Mirror
from model_serving.server.view import KeptInView, PendingInView, StateView
from tests.unit.server.states import StateLog

V1, V2 = Key(Kind.KEPT, "wine", "v1"), Key(Kind.KEPT, "wine", "v2")
LARGE = b"x" * 2_000_000


@pytest.fixture
def view(mirror: Mirror) -> StateView:
    return StateView(mirror)


def test_own_writes_are_seen_at_once_and_written_once(view: StateView, mirror: Mirror) -> None:
    view.put(V1, b"one")
    assert (view.get(V1), mirror.get(V1), view.keys(Kind.KEPT)) == (b"one", None, [V1])
    assert view.written() == [Entry(V1, b"one")]
    assert view.written() == []
    view.delete(V1)
    assert (view.get(V1), view.keys(Kind.KEPT), view.keys(Kind.KEPT, "wine")) == (None, [], [])
    assert view.written() == [Entry(V1, None, 1)]


def test_the_last_value_of_a_transaction_counts_in_the_order_of_the_last_writes(view: StateView) -> None:
    view.put(V1, b"one")
    view.put(V2, b"two")
    view.put(V1, b"three")
    assert view.written() == [Entry(V2, b"two"), Entry(V1, b"three")]


def test_an_older_value_in_the_mirror_does_not_hide_a_newer_own_one(view: StateView, log: StateLog) -> None:
    for value in (b"one", b"two", b"three"):
        view.put(V1, value)
        (entry,) = view.written()
        assert entry.value == value
    for shown in (b"one", b"two"):
        log.put(V1, shown)
        assert view.get(V1) == b"three"
    log.put(V1, b"three")
    # Now the mirror speaks again: another member may write from here on.
    log.put(V1, b"four")
    assert view.get(V1) == b"four"


def test_a_coalesced_write_is_shown_once(view: StateView, log: StateLog) -> None:
    view.put(V1, b"one")
    view.put(V1, b"two")
    log.write(*view.written())
    log.put(V1, b"three")
    assert view.get(V1) == b"three"


def test_a_deletion_covers_the_parts_of_own_and_of_mirrored_values(view: StateView, log: StateLog) -> None:
    view.put(V1, LARGE)
    assert view.written() == [Entry(V1, LARGE)]
    view.delete(V1)
    assert view.written() == [Entry(V1, None, 3)]
    log.put(V2, LARGE)
    view.put(V2, b"small")
    view.delete(V2)
    assert view.written() == [Entry(V2, None, 3)]
    view.delete(Key(Kind.KEPT, "beer", "v1"))
    assert view.written() == [Entry(Key(Kind.KEPT, "beer", "v1"), None, 1)]


def test_what_is_deleted_before_it_was_written_is_never_written(view: StateView, log: StateLog) -> None:
    view.put(V1, LARGE)
    assert (view.has_written(), view.has_written(Kind.KEPT)) == (True, False)
    view.delete(V1)
    assert (view.has_written(), view.written(), view.get(V1)) == (False, [], None)
    # But one that others know is deleted, whether the mirror has shown it yet or not.
    view.put(V1, b"one")
    unseen = view.written()
    view.put(V1, b"two")
    view.delete(V1)
    assert view.written() == [Entry(V1, None, 1)]
    log.write(*unseen)
    log.put(V2, b"another member's")
    view.put(V2, b"one")
    view.delete(V2)
    assert view.written() == [Entry(V2, None, 1)]


def test_a_large_own_value_is_dropped_when_its_last_part_has_come(view: StateView, log: StateLog) -> None:
    view.put(V1, LARGE)
    log.write(*view.written())
    view.delete(V1)
    log.write(*view.written())
    assert (view.get(V1), log.mirror.parts(V1)) == (None, 0)
    log.put(V1, b"another member")
    assert view.get(V1) == b"another member"


def test_a_closed_view_follows_no_more(view: StateView, log: StateLog) -> None:
    view.put(V1, b"one")
    view.close()
    log.put(V1, b"one")
    log.put(V1, b"two")
    assert view.get(V1) == b"one"


def test_kept_and_pending_models_are_those_of_their_data_type(view: StateView, log: StateLog) -> None:
    kept, pending = KeptInView(view), PendingInView(view)
    assert kept.history("wine") is None
    kept.save_history("wine", b"history")
    kept.save_model("wine", "v1", b"model")
    pending.put("wine", 10, b"ten")
    pending.put("wine", 9, b"nine")
    pending.put("beer", 1, b"one")
    log.write(*view.written())
    assert (kept.history("wine"), kept.model("wine", "v1")) == (b"history", b"model")
    assert (sorted(pending.numbers("wine")), pending.get("wine", 10)) == ([9, 10], b"ten")
    kept.drop_model("wine", "v1")
    pending.remove("wine", 10)
    assert pending.numbers("wine") == [9]
    with pytest.raises(KeyError):
        kept.model("wine", "v1")
    with pytest.raises(KeyError):
        pending.get("wine", 10)
