"""Model messages made from files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from model_serving.client.model_files import pack_saved_model
from model_serving.client.model_messages import (
    Content,
    build_command,
    build_message,
    describe,
    models_at,
    models_of_samples,
)
from model_serving.client.samples import sample_models, sample_records
from model_serving.core.messages import Command
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.stores.locations import LocationStore

PMML = b"<PMML version='4.3'/>"


@pytest.fixture
def pmml(tmp_path: Path) -> Path:
    file = tmp_path / "tree.v2.pmml"
    file.write_bytes(PMML)
    return file


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "vintage" / "3"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")
    return folder


def test_a_file_travels_with_its_bytes_and_their_digest(pmml: Path) -> None:
    (model,) = models_at([pmml])
    message = build_message(model, data_type="wine", content=Content.DATA)
    digest = hashlib.sha256(PMML).hexdigest()
    assert message == ModelDescriptor(
        name="tree.v2",
        description="PMML model from tree.v2.pmml",
        dataType="wine",
        modeltype=ModelDescriptor.PMML,
        data=PMML,
        sha256=digest,
    )
    assert describe(message) == f"tree.v2 as PMML for 'wine', 21 bytes, version {digest[:12]}"


def test_by_location_only_the_path_and_the_files_digest_travel(pmml: Path) -> None:
    (model,) = models_at([pmml])
    message = build_message(model, data_type="wine", content=Content.LOCATION)
    assert (message.WhichOneof("MessageContent"), message.location) == ("location", str(pmml))
    assert message.sha256 == hashlib.sha256(PMML).hexdigest()


def test_whatever_a_file_is_called_the_job_finds_it_by_its_location(tmp_path: Path) -> None:
    for name in ("my tree.pmml", "50%20.pmml", "a::b.pmml", "file:x.pmml", "größe.pmml"):
        (tmp_path / name).write_bytes(PMML)
        (model,) = models_at([tmp_path / name])
        message = build_message(model, data_type="wine", content=Content.LOCATION)
        assert LocationStore("/", 1000, (str(tmp_path),)).read(message.location) == PMML


def test_a_saved_model_is_named_after_the_folder_of_its_versions(saved: Path) -> None:
    for path in (saved, saved.parent):
        (model,) = models_at([path])
        message = build_message(model, data_type="wine", content=Content.DATA)
        assert (message.name, message.data) == ("vintage", pack_saved_model(saved))
        # The job packs the folder by itself; both must find the same digest.
        digest = hashlib.sha256(LocationStore("/", 100_000).read(str(saved))).hexdigest()
        by_location = build_message(model, data_type="wine", content=Content.LOCATION)
        assert (by_location.location, by_location.sha256) == (str(saved), digest)


def test_a_command_has_no_content() -> None:
    assert build_command(Command.ROLLBACK, data_type="wine") == ModelDescriptor(
        dataType="wine", command=ModelDescriptor.ROLLBACK
    )


def test_every_sample_is_there_and_carries_the_results_that_it_must_give() -> None:
    assert sample_records().is_file()
    for sample, model in zip(sample_models(), models_of_samples("wine"), strict=True):
        message = build_message(model, data_type="wine", content=Content.DATA)
        assert message.name == sample.name
        assert [example.expected for example in message.examples] == list(sample.expected)
        assert len(message.examples) > 0
