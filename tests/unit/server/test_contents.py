"""The state topic as a model store."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from model_serving.core.model_store import ModelStore, StoreFailed
from model_serving.server.contents import ContentsInState
from model_serving.server.entries import Entry, Key, Kind
from model_serving.server.mirror import Mirror
from tests.fake_kafka import failure
from tests.unit.server.states import FakeSender, StateLog

PATH = "server/wine-0123/" + "ab" * 32
KEY = Key(Kind.CONTENT, "", PATH)


@pytest.fixture
def sender(log: StateLog) -> FakeSender:
    return FakeSender(log)


@pytest.fixture
def store(mirror: Mirror, sender: FakeSender) -> ContentsInState:
    return ContentsInState(mirror, sender, "state")


def test_put_get_delete(store: ModelStore, mirror: Mirror) -> None:
    """As FsspecModelStore does."""
    with pytest.raises(FileNotFoundError):
        store.get(PATH)
    store.delete(PATH)
    store.put(PATH, b"\x00model\xff")
    store.put("server/wine-0123/other", b"")
    assert store.get(PATH) == b"\x00model\xff"
    assert store.get("server/wine-0123/other") == b""
    store.delete(PATH)
    store.delete(PATH)
    with pytest.raises(FileNotFoundError):
        store.get(PATH)
    assert mirror.keys(Kind.CONTENT) == [Key(Kind.CONTENT, "", "server/wine-0123/other")]
    assert str(store) == "the state topic 'state'"


def test_what_is_there_is_not_written_again_and_other_content_is(
    store: ModelStore, sender: FakeSender
) -> None:
    store.put(PATH, b"first")
    store.put(PATH, b"first")
    assert len(sender.sent) == 1
    store.put(PATH, b"other")
    assert store.get(PATH) == b"other"


def test_large_content_is_in_parts_and_deleted_whole(
    store: ModelStore, mirror: Mirror, sender: FakeSender
) -> None:
    content = bytes(20 << 20)
    store.put(PATH, content)
    assert store.get(PATH) == content
    assert mirror.parts(KEY) == 24
    store.delete(PATH)
    assert mirror.parts(KEY) == 0
    assert sender.sent[-1] == Entry(KEY, None, 24)


def test_content_that_comes_again_right_after_its_deletion_is_written_again(mirror: Mirror) -> None:
    """The mirror shows the content still, because the deletion is on its way."""
    sender, log = FakeSender(), StateLog(mirror)
    store = ContentsInState(mirror, sender, "state")
    log.put(KEY, b"model")
    store.delete(PATH)
    store.put(PATH, b"model")
    log.write(*sender.sent)
    assert store.get(PATH) == b"model"


def test_a_topic_that_takes_nothing_is_a_failure_of_the_store(store: ModelStore, sender: FakeSender) -> None:
    sender.is_slow = True
    with pytest.raises(StoreFailed, match=r"^the state topic 'state' takes nothing for 30 s$"):
        store.put(PATH, b"model")
    sender.broken = failure(KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    for call in (lambda: store.put(PATH, b"other"), lambda: store.delete(PATH)):
        with pytest.raises(StoreFailed, match=r"^the state topic 'state' takes nothing \(.*\)$"):
            call()
