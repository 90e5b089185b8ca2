"""Large models are in a store beside the checkpoints: they are written, served and deleted."""

from __future__ import annotations

import hashlib
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from tests.job_models import constant_pmml, wine
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import FlinkRun, eventually, job_flags, launcher_from

pytestmark = pytest.mark.kafka

DATA_TYPE = "../rosé & co"
MODELS = {f"v{number}": constant_pmml(number, padding=5_000_000) for number in range(1, 5)}


def model(version: str) -> ModelDescriptor:
    return ModelDescriptor(
        name="large", dataType=DATA_TYPE, modeltype="PMML", version=version, data=MODELS[version]
    )


def stored(store: Path) -> set[str]:
    """Returns the versions with content in the store, which holds nothing else except unfinished files."""
    versions = {hashlib.sha256(content).hexdigest(): version for version, content in MODELS.items()}
    files = [path for path in store.rglob("*") if path.is_file() and path.suffix != ".part"]
    return {versions[path.name] for path in files}


def newest_checkpoint(checkpoints: Path, job_id: str) -> Path | None:
    """Returns the last complete checkpoint."""
    complete = [path.parent for path in (checkpoints / job_id).glob("chk-*/_metadata")]
    return max(complete, key=lambda path: int(path.name.removeprefix("chk-")), default=None)


def number_of(checkpoint: Path | None) -> int:
    return -1 if checkpoint is None else int(checkpoint.name.removeprefix("chk-"))


def size_on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*"))


@pytest.mark.parametrize(("variant", "backend"), [("keyed", "rocksdb"), ("broadcast", "hashmap")])
def test_a_large_model_is_served_from_the_store_after_a_crash_and_deleted_when_nobody_needs_it(
    broker: EmbeddedBroker, tmp_path: Path, variant: str, backend: str
) -> None:
    topics = fresh_topics(broker)
    checkpoints = tmp_path / "checkpoints"
    store = checkpoints / "models"
    checkpoints.mkdir()
    store.write_bytes(b"a file where the store's folder should be")
    flags = [
        *job_flags(broker.bootstrap_servers, topics, checkpoints, topics.models),
        *("--inline-limit", "1000000"),
        *("--model-store-retention-h", "0.001"),
        *("--keep-versions", "2"),
        *("--checkpoint-interval-ms", "500"),
        *("--state-backend", backend),
    ]
    with (
        FlinkRun(variant, flags, tmp_path / "first.log") as first,
        Traffic(variant, broker.bootstrap_servers, topics, first.check) as traffic,
    ):
        traffic.offer(model("v1"))
        (refused,) = traffic.await_statuses(DATA_TYPE, 1)
        assert refused.state == ModelStatus.REJECTED
        assert refused.detail.startswith(f"the model ({len(MODELS['v1'])} bytes) cannot be stored: ")
        assert f"the model store file://{store} cannot be written" in refused.detail
        (letter,) = traffic.await_letters_of(DATA_TYPE, 1)
        assert (letter.reason, letter.detail) == (DeadLetter.MODEL_REJECTED, refused.detail)
        store.unlink()
        for version in ("v1", "v2"):
            traffic.serve(model(version))
        assert stored(store) == {"v1", "v2"}
        traffic.serve(model("v3"))
        traffic.send(wine([1] * 11, DATA_TYPE, 1))
        assert [result.result for result in traffic.await_results(DATA_TYPE, 1)] == [3.0]
        eventually(lambda: stored(store) == {"v2", "v3"}, lambda: f"stored: {stored(store)}", within_s=60)

        job_id = first.job_id()
        before = number_of(newest_checkpoint(checkpoints, job_id))
        eventually(
            # The one after the next began when all of this had been done.
            lambda: number_of(newest_checkpoint(checkpoints, job_id)) > before + 1,
            lambda: f"checkpoints: {list(checkpoints.rglob('*'))}",
            within_s=60,
        )
        # Java before the command that watches it, which would end it with a savepoint.
        for line in reversed(first.left_over()):
            with suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        first.await_end(within_s=10)
        eventually(lambda: first.left_over() == [], lambda: f"left: {first.left_over()}", within_s=30)

    newest = newest_checkpoint(checkpoints, job_id)
    assert newest is not None
    launcher = launcher_from(newest, "--claimMode", "CLAIM")
    with (
        FlinkRun(variant, flags, tmp_path / "second.log", launcher=launcher) as second,
        Traffic(variant, broker.bootstrap_servers, topics, second.check) as traffic,
    ):
        traffic.send(wine([1] * 11, DATA_TYPE, 2))
        results = {
            result.submissionTs: (result.version, result.result)
            for result in traffic.await_results(DATA_TYPE, 2)
        }
        assert results == {1: ("v3", 3.0), 2: ("v3", 3.0)}
        # The first run put it there, this one has claimed it.
        assert stored(store) == {"v2", "v3"}
        before_it = len(traffic.statuses[DATA_TYPE])
        traffic.offer(model("v4"))
        eventually(lambda: stored(store) == {"v3", "v4"}, lambda: f"stored: {stored(store)}", within_s=60)
        traffic.offer(ModelDescriptor(dataType=DATA_TYPE, command="ROLLBACK"))
        back = traffic.await_statuses(DATA_TYPE, before_it + 2)[-1]
        assert (back.state, back.version, back.previous) == (ModelStatus.ACTIVE, "v3", "v4")
        assert second.stop() == 0
        # Unlike RocksDB's files, in a checkpoint, a savepoint has nothing that was deleted from the state.
        assert 0 < size_on_disk(Path(second.savepoint().removeprefix("file:"))) < 1_000_000
