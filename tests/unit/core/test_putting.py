"""A very large model goes to the store while it is being checked; of a rejected one nothing stays there."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from model_serving.core import model_store
from model_serving.core.admission.admission import Admission
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelMessage, ModelType
from model_serving.core.model_store import ModelContents, StoreFailed
from model_serving.core.pool import ModelPool
from model_serving.core.putting import Puttings
from model_serving.testing import POINT, FakeClock, FakeEngine, FakeLocations, FakeStore, Script, read_point
from tests.unit.core.carrying_out import OneDataType, offer

HOUR_MS = 3_600_000
BAD = b"a large model that does not load"
GOOD = b"a large model"
PATH = "run/wine/sha"


class SlowStore(FakeStore):
    """Each call of ``put`` and ``delete`` says that it has begun, and waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self.go_on = threading.Event()

    def put(self, path: str, content: bytes) -> None:
        self._wait()
        super().put(path, content)

    def delete(self, path: str) -> None:
        self._wait()
        super().delete(path)

    def _wait(self) -> None:
        self.began.set()
        assert self.go_on.wait(30)


@pytest.fixture(autouse=True)
def everything_is_very_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_store, "_BESIDE_BYTES", 0)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def admission(pool: ModelPool, clock: FakeClock, store: FakeStore, engine: FakeEngine) -> Iterator[Admission]:
    engine.scripts[BAD] = Script(load_error="not a model")
    contents = ModelContents(store, 0, "run", HOUR_MS)
    made = Admission(pool, POINT, FakeLocations(), read_point, 2, clock, contents)
    yield made
    made.close()


def deploy(version: str, content: bytes) -> ModelMessage:
    return ModelMessage("wine", "model", ModelType.PMML, content, version=version)


def test_a_model_is_loaded_while_it_goes_to_the_store(
    pool: ModelPool, clock: FakeClock, engine: FakeEngine, kept: OneDataType
) -> None:
    store = SlowStore()
    contents = ModelContents(store, 0, "run", HOUR_MS)
    admission = Admission(pool, POINT, FakeLocations(), read_point, 2, clock, contents)
    offering = threading.Thread(target=offer, args=(admission, deploy("v1", GOOD), kept))
    offering.start()
    assert store.began.wait(30)
    while not engine.live:
        assert offering.is_alive()
    assert (store.objects, kept.history().kept) == ({}, ())
    store.go_on.set()
    offering.join(30)
    assert list(store.objects.values()) == [GOOD]
    assert [version.version for version in kept.history().kept] == ["v1"]
    admission.close()


def test_a_store_that_works_itself_gets_a_model_after_its_checks(
    admission: Admission, kept: OneDataType, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_now(path: str, content: bytes) -> None:
        raise AssertionError

    store.mostly_waits = False
    with monkeypatch.context() as patch:
        patch.setattr(store, "put", not_now)
        with pytest.raises(ModelRejected, match="not a model"):
            offer(admission, deploy("v1", BAD), kept)
    offer(admission, deploy("v1", GOOD), kept)
    assert list(store.objects.values()) == [GOOD]


def test_nothing_stays_of_a_model_that_is_rejected(
    admission: Admission, kept: OneDataType, store: FakeStore
) -> None:
    with pytest.raises(ModelRejected, match="not a model"):
        offer(admission, deploy("v1", BAD), kept)
    assert store.objects == {}


@pytest.mark.parametrize("still", ["kept", "dropped"])
def test_an_object_that_the_history_knows_stays(
    admission: Admission, kept: OneDataType, store: FakeStore, engine: FakeEngine, still: str
) -> None:
    """The same content comes as another version, and does not load any more."""
    offer(admission, deploy("v1", GOOD), kept)
    if still == "dropped":
        for version in ("v2", "v3"):
            offer(admission, deploy(version, version.encode()), kept)
        assert len(kept.history().dropped) == 1
    admission.close()
    engine.scripts[GOOD] = Script(load_error="not any more")
    with pytest.raises(ModelRejected, match="not any more"):
        offer(admission, deploy("v4", GOOD), kept)
    assert GOOD in store.objects.values()


def test_a_store_that_takes_nothing_rejects_the_model(
    admission: Admission, kept: OneDataType, store: FakeStore, engine: FakeEngine
) -> None:
    store.broken = "it is full"
    with pytest.raises(ModelRejected, match=r"the model \(13 bytes\) cannot be stored: .* it is full; mend"):
        offer(admission, deploy("v1", GOOD), kept)
    assert engine.live == []
    with pytest.raises(ModelRejected, match="not a model"):
        offer(admission, deploy("v1", BAD), kept)


def test_a_load_that_was_given_up_takes_nothing_back_from_a_later_one(store: FakeStore) -> None:
    """It goes on in its thread, and knows only the history of its time."""
    puttings = Puttings(store)
    given_up = puttings.begin(PATH, GOOD)
    puttings.keep(puttings.begin(PATH, GOOD))
    puttings.take_back(given_up, [])
    assert store.objects == {PATH: GOOD}


def test_the_last_of_several_that_fail_takes_back(store: FakeStore) -> None:
    puttings = Puttings(store)
    first, second = puttings.begin(PATH, GOOD), puttings.begin(PATH, GOOD)
    puttings.take_back(first, [])
    assert store.objects == {PATH: GOOD}
    puttings.take_back(second, [])
    assert store.objects == {}


def test_what_was_collected_is_needed_no_longer(store: FakeStore) -> None:
    puttings = Puttings(store)
    puttings.keep(puttings.begin(PATH, GOOD))
    store.delete(PATH)
    puttings.forget(PATH)
    puttings.take_back(puttings.begin(PATH, GOOD), [])
    assert store.objects == {}


def test_a_content_is_put_only_after_its_deletion_is_over() -> None:
    """Else the store would say that it has the object, and then delete it."""
    store = SlowStore()
    puttings = Puttings(store)
    store.go_on.set()
    failed = puttings.begin(PATH, GOOD)
    failed.wait()
    store.began.clear()
    store.go_on.clear()
    deleting = threading.Thread(target=puttings.take_back, args=(failed, []))
    deleting.start()
    assert store.began.wait(30)
    again = threading.Thread(target=lambda: puttings.keep(puttings.begin(PATH, GOOD)))
    store.began.clear()
    again.start()
    assert not store.began.wait(0.1)
    store.go_on.set()
    deleting.join(30)
    again.join(30)
    assert store.objects == {PATH: GOOD}


def test_an_error_of_the_store_is_raised_once_and_a_take_back_leaves_it() -> None:
    store = FakeStore()
    store.broken = "no"
    puttings = Puttings(store)
    putting = puttings.begin(PATH, GOOD)
    with pytest.raises(StoreFailed):
        puttings.keep(putting)
    puttings.take_back(putting, [])
    store.broken = ""
    puttings.keep(puttings.begin(PATH, GOOD))
    assert store.objects == {PATH: GOOD}
