"""Large models in a store: which objects are put, fetched and deleted, where and when."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core import model_store
from model_serving.core.admission.admission import Admission
from model_serving.core.errors import ContentUnavailable, ModelRejected
from model_serving.core.messages import Command, ModelMessage, ModelToServe, ModelType, StoredContent
from model_serving.core.model_store import ModelContents, everything_inline, object_path
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.server import Server
from model_serving.core.state import DroppedObject, History, KeptVersion
from model_serving.testing import (
    POINT,
    FakeClock,
    FakeEngine,
    FakeLocations,
    FakeStore,
    read_point,
)
from tests.unit.core.carrying_out import OneDataType, offer

LIMIT = 10
HOUR_MS = 3_600_000
ROLLBACK = ModelMessage("wine", command=Command.ROLLBACK)
REMOVE = ModelMessage("wine", command=Command.REMOVE)


@pytest.fixture(autouse=True, params=[1 << 20, 0], ids=["after its checks", "during its checks"])
def beside(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a large model is put into the store: very large ones while they are being checked."""
    monkeypatch.setattr(model_store, "_BESIDE_BYTES", request.param)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def contents(store: FakeStore) -> ModelContents:
    return ModelContents(store, LIMIT, "run-1", HOUR_MS)


@pytest.fixture
def admission(pool: ModelPool, clock: FakeClock, contents: ModelContents) -> Iterator[Admission]:
    made = admitting(pool, clock, contents)
    yield made
    made.close()


def admitting(pool: ModelPool, clock: FakeClock, contents: ModelContents) -> Admission:
    """An admission that keeps two versions."""
    return Admission(
        pool, POINT, FakeLocations(), read_point, keep_versions=2, clock=clock, contents=contents
    )


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def large(version: str) -> bytes:
    return f"{version} is a large model".encode()


def path(version: str, run: str = "run-1") -> str:
    return object_path(run, "wine", sha256(large(version)))


def deploy(version: str, content: bytes | None = None) -> ModelMessage:
    return ModelMessage(
        "wine", "model", ModelType.PMML, large(version) if content is None else content, version=version
    )


def stored(version: str) -> ModelToServe:
    """A large model as state and activations hold it."""
    content = large(version)
    return ModelToServe(
        "wine",
        "model",
        ModelType.PMML,
        version,
        sha256(content),
        b"",
        stored=StoredContent(path(version), len(content)),
    )


def test_a_model_above_the_limit_is_stored_and_one_at_the_limit_stays_in_state(
    admission: Admission, kept: OneDataType, store: FakeStore, engine: FakeEngine
) -> None:
    at_limit = offer(admission, deploy("v0", b"x" * LIMIT), kept)
    assert at_limit.model is not None
    assert (at_limit.model.content, at_limit.model.stored, store.objects) == (b"x" * LIMIT, None, {})
    assert offer(admission, deploy("v1"), kept).model == stored("v1")
    assert store.objects == {path("v1"): large("v1")}
    assert kept.model("v1") == stored("v1")
    assert kept.history().find("v1") == KeptVersion("v1", sha256(large("v1")), "model", path("v1"))
    # It was loaded from the message, not from the store.
    assert (store.asked, engine.live) == ([], sorted(["x" * LIMIT, large("v1").decode()]))


def test_a_model_that_another_operator_has_loaded_is_not_fetched_again(
    admission: Admission,
    kept: OneDataType,
    store: FakeStore,
    pool: ModelPool,
    clock: FakeClock,
    contents: ModelContents,
) -> None:
    model = offer(admission, deploy("v1"), kept).model
    assert model is not None
    server = Server(pool, POINT, "mdata", clock, with_content=contents.at_hand)
    server.activate(model)
    assert store.asked == []
    admission.close()
    server.close()
    server.activate(model)
    assert (store.asked, pool.live) == ([path("v1")], 1)
    server.close()


def test_a_store_that_takes_nothing_rejects_the_model_and_the_old_one_goes_on(
    admission: Admission, kept: OneDataType, store: FakeStore, engine: FakeEngine
) -> None:
    offer(admission, deploy("v1"), kept)
    before = kept.saved
    store.broken = "no space left"
    with pytest.raises(ModelRejected) as rejected:
        offer(admission, deploy("v2"), kept)
    assert str(rejected.value) == (
        "the model (19 bytes) cannot be stored: the model store fake://store cannot be used: no space left; "
        "mend the store and send the model again, or start the job with another --model-store or "
        "--inline-limit"
    )
    assert (kept.saved, engine.live) == (before, [large("v1").decode()])
    # A small model needs no store.
    offer(admission, deploy("v0", b"small"), kept)
    store.broken = ""
    assert offer(admission, deploy("v2"), kept).model == stored("v2")


def test_a_model_that_is_rejected_is_not_stored(
    admission: Admission, kept: OneDataType, store: FakeStore
) -> None:
    with pytest.raises(ModelRejected, match="SHA-256"):
        offer(admission, replace(deploy("v1"), sha256="ab" * 32), kept)
    assert store.objects == {}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            None,
            (
                "version 'v1' of data type 'wine' is not in the model store fake://store ({path}): "
                "start the job with the --model-store that it was put into, put the file back, or restore a "
                "later checkpoint"
            ),
        ),
        (
            b"other",
            (
                "version 'v1' of data type 'wine' has other content in the model store fake://store "
                "({path}): 5 bytes with SHA-256 {other}, not 19 bytes with {sha256}; put the right file there"
            ),
        ),
    ],
)
def test_a_stored_model_that_is_gone_or_changed_is_a_fault_where_it_serves(
    contents: ModelContents,
    store: FakeStore,
    pool: ModelPool,
    clock: FakeClock,
    damage: bytes | None,
    said: str,
) -> None:
    if damage is not None:
        store.objects[path("v1")] = damage
    server = Server(pool, POINT, "mdata", clock, with_content=contents.at_hand)
    with pytest.raises(ContentUnavailable) as unavailable:
        server.activate(stored("v1"))
    assert str(unavailable.value) == said.format(
        path=path("v1"), sha256=sha256(large("v1")), other=sha256(b"other")
    )
    assert not server.serves("wine")
    store.broken = "no route to host"
    with pytest.raises(ContentUnavailable, match=r"cannot be fetched: .*: no route to host; mend the store$"):
        server.activate(stored("v1"))
    store.broken, store.objects[path("v1")] = "", large("v1")
    server.activate(stored("v1"))
    assert server.serves("wine")
    server.close()


def test_a_rollback_after_a_restart_fetches_what_it_needs_or_is_rejected(
    admission: Admission, kept: OneDataType, store: FakeStore, engine: FakeEngine
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, deploy("v2"), kept)
    admission.close()
    before = kept.saved
    content = store.objects.pop(path("v1"))
    with pytest.raises(ModelRejected, match=r"^version 'v1' of data type 'wine' is not in the model store"):
        offer(admission, ROLLBACK, kept)
    assert (kept.saved, engine.live) == (before, [])
    store.objects[path("v1")] = content
    assert offer(admission, ROLLBACK, kept).model == stored("v1")
    assert engine.live == [content.decode()]


def test_what_no_version_refers_to_is_deleted_when_the_retention_is_over(
    admission: Admission, kept: OneDataType, store: FakeStore, clock: FakeClock
) -> None:
    for version in ("v1", "v2"):
        offer(admission, deploy(version), kept)
    assert admission.collect(kept) is None
    offer(admission, deploy("v3"), kept)
    dropped = clock.epoch_ms()
    assert kept.history().dropped == (DroppedObject(path("v1"), dropped),)
    assert admission.collect(kept) == dropped + HOUR_MS
    clock.pass_ns((HOUR_MS - 1) * 1_000_000)
    assert admission.collect(kept) == dropped + HOUR_MS
    assert set(store.objects) == {path("v1"), path("v2"), path("v3")}
    clock.pass_ns(1_000_000)
    assert admission.collect(kept) is None
    assert set(store.objects) == {path("v2"), path("v3")}
    assert kept.history().dropped == ()


@pytest.mark.parametrize(("command", "left"), [(ROLLBACK, {"v1"}), (REMOVE, set())])
def test_rollback_and_remove_drop_what_they_forget(
    admission: Admission,
    kept: OneDataType,
    store: FakeStore,
    clock: FakeClock,
    command: ModelMessage,
    left: set[str],
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, deploy("v2"), kept)
    offer(admission, command, kept)
    clock.pass_ns(HOUR_MS * 1_000_000)
    assert admission.collect(kept) is None
    assert set(store.objects) == {path(version) for version in left}


def test_what_comes_again_before_the_retention_is_over_stays(
    admission: Admission, kept: OneDataType, store: FakeStore, clock: FakeClock
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, REMOVE, kept)
    clock.pass_ns(HOUR_MS * 500_000)
    # Another name gives the same object, which depends on the content only.
    offer(admission, deploy("the same", large("v1")), kept)
    clock.pass_ns(HOUR_MS * 1_000_000)
    assert admission.collect(kept) is None
    assert set(store.objects) == {path("v1")}


def test_a_content_under_two_versions_stays_as_long_as_one_is_kept(
    admission: Admission, kept: OneDataType, store: FakeStore, clock: FakeClock
) -> None:
    for message in (deploy("v1"), deploy("the same", large("v1")), deploy("v2")):
        offer(admission, message, kept)
    assert (kept.versions, kept.history().dropped) == (["the same", "v2"], ())
    offer(admission, deploy("v3"), kept)
    clock.pass_ns(HOUR_MS * 1_000_000)
    admission.collect(kept)
    assert set(store.objects) == {path("v2"), path("v3")}


def test_a_deletion_that_fails_is_tried_again_and_harms_nothing(
    admission: Admission, kept: OneDataType, store: FakeStore, clock: FakeClock
) -> None:
    offer(admission, deploy("v1"), kept)
    offer(admission, REMOVE, kept)
    clock.pass_ns(HOUR_MS * 1_000_000)
    store.broken = "read-only"
    assert admission.collect(kept) == clock.epoch_ms() + 600_000
    store.broken = ""
    assert admission.collect(kept) == clock.epoch_ms() + 600_000
    clock.pass_ns(600_000 * 1_000_000)
    assert admission.collect(kept) is None
    assert store.objects == {}


@pytest.mark.parametrize("claims", [False, True])
def test_a_restored_job_deletes_what_others_put_only_if_the_snapshot_is_its_own(
    admission: Admission,
    kept: OneDataType,
    store: FakeStore,
    clock: FakeClock,
    pool: ModelPool,
    claims: bool,
) -> None:
    for version in ("v1", "v2", "v3"):
        offer(admission, deploy(version), kept)
    admission.close()
    restored = admitting(pool, clock, ModelContents(store, LIMIT, "run-2", HOUR_MS, claims=claims))
    # An object that was dropped before the savepoint, one that is dropped now, and one that comes again.
    offer(restored, deploy("v4"), kept)
    offer(restored, deploy("v3"), kept)
    clock.pass_ns(2 * HOUR_MS * 1_000_000)
    assert restored.collect(kept) is None
    others = set() if claims else {path("v1"), path("v2"), path("v3")}
    assert set(store.objects) == {path("v4", "run-2"), path("v3", "run-2")} | others
    restored.close()


def test_two_jobs_from_one_savepoint_keep_their_hands_off_each_others_objects(
    store: FakeStore, clock: FakeClock, pool: ModelPool
) -> None:
    kept = {run: OneDataType() for run in ("run-1", "run-2")}
    jobs = {run: admitting(pool, clock, ModelContents(store, LIMIT, run, HOUR_MS)) for run in kept}
    offer(jobs["run-1"], deploy("v1"), kept["run-1"])
    kept["run-2"].restore(kept["run-1"].saved)
    for run, job in jobs.items():
        offer(job, deploy("v2"), kept[run])
    offer(jobs["run-2"], REMOVE, kept["run-2"])
    clock.pass_ns(HOUR_MS * 1_000_000)
    for run, job in jobs.items():
        job.collect(kept[run])
        job.close()
    assert set(store.objects) == {path("v1"), path("v2")}


def test_models_that_an_earlier_version_kept_in_state_stay_there_until_they_come_again(
    admission: Admission, kept: OneDataType, store: FakeStore, pool: ModelPool, clock: FakeClock
) -> None:
    before = admitting(pool, clock, everything_inline())
    offer(before, deploy("v1"), kept)
    offer(before, deploy("v2"), kept)
    before.close()
    back = offer(admission, ROLLBACK, kept).model
    assert back is not None
    assert (back.content, back.stored, store.objects) == (large("v1"), None, {})
    assert offer(admission, deploy("v1"), kept).model == stored("v1")
    assert store.objects == {path("v1"): large("v1")}


@given(st.text(min_size=1, max_size=400), st.text(min_size=1, max_size=400))
def test_a_data_type_of_any_text_is_one_safe_and_separate_name(one: str, other: str) -> None:
    run, name, digest = object_path("run", one, "ab" * 32).split("/")
    assert (run, digest) == ("run", "ab" * 32)
    assert re.fullmatch(r"[A-Za-z0-9_-]{34,120}", name)
    if one != other:
        assert name.lower() != object_path("run", other, "").split("/")[1].lower()


@pytest.mark.parametrize(
    "hostile", ["..", "/etc", "a/../../b", "C:\\x", "\0", "~root", "s3://b", "Wine", "wine"]
)
def test_hostile_data_types_stay_in_the_folder_of_their_run(hostile: str) -> None:
    assert re.fullmatch(r"run/[A-Za-z0-9_-]+/x", object_path("run", hostile, "x"))


def test_a_history_without_store_has_nothing_to_delete() -> None:
    history = History((KeptVersion("v1", "ab", "model"),), 1)
    after = everything_inline().succeed(history, (), now_ms=7)
    assert after == History((), 2)


def test_nobody_holds_the_bytes_of_a_model_that_is_loaded(
    admission: Admission,
    kept: OneDataType,
    store: FakeStore,
    pool: ModelPool,
    clock: FakeClock,
    contents: ModelContents,
) -> None:
    content = large("v1")
    alone = sys.getrefcount(content)
    offer(admission, deploy("v1", content), kept)
    server = Server(pool, POINT, "mdata", clock, with_content=contents.at_hand)
    server.activate(stored("v1"))
    # The stand-in for the store has it.
    assert (sys.getrefcount(content), pool.live) == (alone + 1, 1)
    admission.close()
    server.close()
    server.activate(stored("v1"))
    assert (sys.getrefcount(content), pool.live) == (alone + 1, 1)
    server.close()
