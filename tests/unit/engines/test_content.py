"""The kind of content is recognized from its bytes; content of another kind is refused with advice."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import random
import re
import tarfile
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from model_serving import assembly
from model_serving.client.model_files import detect, pack_saved_model
from model_serving.client.samples import sample_models
from model_serving.core.admission.kept import KeptVersions
from model_serving.core.clock import SystemClock
from model_serving.core.engine import LoadedModel, RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelMessage, ModelToServe, ModelType
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.engines.content import KindCheckedEngine, check_kind, tell
from model_serving.settings import ServingSettings
from model_serving.testing import InMemoryKeptModels

PMML = b'<?xml version="1.0"?>\n<PMML xmlns="http://www.dmg.org/PMML-4_3" version="4.3"><Header/></PMML>'
ONNX = (
    b"\x08\x08"  # ir_version = 8
    b"\x12\x04test"  # producer_name
    b"\x3a\x00"  # graph
    b"\x42\x02\x10\x0d"  # opset_import { version: 13 }
)
NODE = b"\x0a\x01x\x12\x0bPlaceholder"
GRAPH = b"\x0a" + bytes([len(NODE)]) + NODE + b"\x22\x02\x08\x1b"  # node, versions { producer: 27 }
SAVED = b"\x08\x01\x12\x00"  # saved_model_schema_version = 1, meta_graphs
ESTIMATOR = {"classes": ["a", "b"], "coefficients": [0.5] * 20}


def zipped(names: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(names: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


SAVED_FILES = {"1/saved_model.pb": SAVED, "1/variables/variables.index": b"index"}

SERVED: dict[str, tuple[bytes, ModelType]] = {
    "PMML": (PMML, ModelType.PMML),
    "PMML with a byte order mark": (b"\xef\xbb\xbf" + PMML, ModelType.PMML),
    "PMML in UTF-16": (PMML.decode().encode("utf-16"), ModelType.PMML),
    "PMML in UTF-16 without a mark": (PMML.decode().encode("utf-16-be"), ModelType.PMML),
    "PMML after white space": (b"\r\n\t " + PMML.partition(b"\n")[2], ModelType.PMML),
    "PMML after comments": (b"<?xml version='1.0'?><!-- <html> --><?x y?>\n<!----><PMML/>", ModelType.PMML),
    "PMML with a prefix": (b"<pmml:PMML xmlns:pmml='http://www.dmg.org/PMML-4_4'/>", ModelType.PMML),
    "PMML with a document type": (b"<!DOCTYPE PMML SYSTEM 'x.dtd'><PMML/>", ModelType.PMML),
    "PMML with a long comment": (b"<!--" + b" " * 1_000_000 + b"--><PMML/>", ModelType.PMML),
    "ONNX": (ONNX, ModelType.ONNX),
    "a graph": (GRAPH, ModelType.TENSORFLOW),
    "a zip": (zipped(SAVED_FILES), ModelType.TENSORFLOWSAVED),
    "a tar": (tarred(SAVED_FILES), ModelType.TENSORFLOWSAVED),
    "a tar.gz": (gzip.compress(tarred(SAVED_FILES)), ModelType.TENSORFLOWSAVED),
    "a tar.bz2": (bz2.compress(tarred(SAVED_FILES)), ModelType.TENSORFLOWSAVED),
    "a tar.xz": (lzma.compress(tarred(SAVED_FILES)), ModelType.TENSORFLOWSAVED),
}

FOREIGN: dict[str, tuple[bytes, str]] = {
    "saved_model.pb": (SAVED, "send the whole folder"),
    "a graph as text": (b'# a comment\n\nnode {\n  name: "x"\n  op: "Placeholder"\n}\n', "as_text=False"),
    "a SavedModel as text": (b"saved_model_schema_version: 1\nmeta_graphs {\n}\n", "binary form"),
    "a SavedModel's folder as text": (tarred({"saved_model.pbtxt": b"meta_graphs {}"}), "binary form"),
    "ONNX as text": (b'ir_version: 8\nproducer_name: "x"\n', "onnx.save"),
    ".keras": (
        zipped({"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": b"\x89HDF"}),
        "model.export(",
    ),
    "a folder with a .keras": (tarred({"model.keras": b"PK"}), "model.export("),
    ".h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "model.export("),
    "Keras JSON": (
        json.dumps({"class_name": "Sequential", "keras_version": "2.4"}).encode(),
        "model.export(",
    ),
    ".tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(50), "the SavedModel that it was converted from"),
    "TensorFlow.js": (b'{"format": "layers-model", "generatedBy": "keras"}', "the SavedModel"),
    **{
        f"a pickle of protocol {protocol}": (pickle.dumps(ESTIMATOR, protocol), "skl2onnx")
        for protocol in range(2, 6)
    },
    "an old pickle": (pickle.dumps(zipfile.ZipFile, 0), "skl2onnx"),
    "joblib with zlib": (zlib.compress(pickle.dumps(ESTIMATOR)), "skl2onnx"),
    "joblib with gzip": (gzip.compress(pickle.dumps(ESTIMATOR)), "skl2onnx"),
    ".pt": (zipped({"net/data.pkl": b"\x80\x02", "net/data/0": b""}), "torch.onnx.export"),
    "TorchScript": (zipped({"net/code/x.py": b"", "net/constants.pkl": b""}), "torch.onnx.export"),
    ".pt2": (
        zipped({"m/archive_format": b"pt2", "m/data/weights/model_weights_config.json": b"{}"}),
        "torch.onnx.export",
    ),
    ".safetensors": (
        (64).to_bytes(8, "little")
        + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(64)
        + bytes(4),
        "export it as ONNX",
    ),
    "ML.NET": (
        zipped({"TrainingInfo\\Version.txt": b"4", "TransformerChain\\Model.key": b"", "Schema": b""}),
        "ConvertToOnnx",
    ),
    "H2O": (zipped({"model.ini": b"[info]", "domains/d000.txt": b"a"}), "JPMML-H2O"),
    "Spark ML": (
        tarred({"model/metadata/part-00000": b"{}", "model/stages/0/_SUCCESS": b""}),
        "pyspark2pmml",
    ),
    "LightGBM": (b"tree\nversion=v4\nnum_class=1\n", "onnxmltools"),
    "LightGBM JSON": (b'{"name": "tree", "version": "v4", "num_tree_per_iteration": 1}', "onnxmltools"),
    "XGBoost JSON": (b'{"learner":{"attributes":{}}}', "onnxmltools"),
    "XGBoost UBJSON": (b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{L\x00", "onnxmltools"),
    "XGBoost dump": (b"booster[0]:\n0:[f0<1.5] yes=1,no=2,missing=1\n", "onnxmltools"),
    "XGBoost JSON dump": (b'[\n  { "nodeid": 0, "depth": 0, "split": "f0" }]', "onnxmltools"),
    "CatBoost": (b"CBM1" + bytes(40), "format='onnx'"),
    "R": (gzip.compress(b"X\n\x00\x00\x00\x03" + bytes(40)), "r2pmml"),
    "a login page": (b"\n<!doctype html>\n<html lang=en><title>Sign in</title>", "look at it with curl"),
    "an error page": (b"<!-- 502 --><HTML><body>Bad Gateway</body></HTML>", "look at it with curl"),
    "a store's error": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "<Error>"),
    "a server's error": (b'{"detail": "not found"}', "look at it with curl"),
    "text": (b"404 page not found\n", "look at it with curl"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "git lfs pull"),
    "PMML in gzip": (gzip.compress(PMML), "decompress it first; set modeltype PMML (2)"),
    "another zip": (zipped({"readme": b""}), "pack the whole folder"),
    "another tar": (tarred({"readme": b""}), "send the whole folder"),
    "NumPy": (b"\x93NUMPY\x01\x00" + bytes(50), "send the model"),
}

UNKNOWN = {
    "nothing": b"",
    "junk": bytes(range(256)),
    "a graph cut short": GRAPH[:-1],
    "ONNX cut short": ONNX[:-1],
    "an unknown field": ONNX + b"\x9a\x06\x00",
    "no opset": ONNX[:2] + ONNX[8:10],
    "a node without an op": b"\x0a\x03\x0a\x01x",
    "XML whose root is far away": b"<!--" + b" " * 2_000_000 + b"--><PMML/>",
    "an element without an end": b"<PMML",
    "a document type of its own": b"<!DOCTYPE lolz [<!ENTITY a 'b'>]><PMML>&a;</PMML>",
    "a comment without an end": b"<!-- <PMML>",
}


@pytest.mark.parametrize("what", SERVED)
def test_what_is_served_is_told_and_passes_as_nothing_else(what: str) -> None:
    content, model_type = SERVED[what]
    kind = tell(content)
    assert kind is not None
    assert kind.model_type is model_type
    check_kind(model_type, content)
    for other in (ModelType.TENSORFLOW, ModelType.TENSORFLOWSAVED, ModelType.PMML, ModelType.ONNX):
        if other is not model_type:
            with pytest.raises(ModelRejected) as rejected:
                check_kind(other, content)
            assert str(rejected.value).startswith(f"the message says {other.name}")
            assert str(rejected.value).endswith(f": set modeltype {model_type.name} ({model_type.value})")


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_not_served_is_refused_as_anything_with_what_to_do(what: str) -> None:
    content, advice = FOREIGN[what]
    for model_type in (ModelType.TENSORFLOW, ModelType.TENSORFLOWSAVED, ModelType.PMML, ModelType.ONNX):
        with pytest.raises(ModelRejected, match=re.escape(advice)) as rejected:
            check_kind(model_type, content)
        assert "\n" not in str(rejected.value)
        assert len(str(rejected.value)) < 400


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_cannot_be_told_is_left_to_the_engine(what: str) -> None:
    assert tell(UNKNOWN[what]) is None


def test_a_damaged_archive_is_left_to_its_engine() -> None:
    for content in (zipped(SAVED_FILES)[:-5], gzip.compress(b"x")[:3] + b"junk"):
        check_kind(ModelType.TENSORFLOWSAVED, content)
        with pytest.raises(ModelRejected):
            check_kind(ModelType.PMML, content)


@pytest.mark.parametrize("sample", sample_models(), ids=lambda sample: sample.name)
def test_every_sample_passes_as_what_it_is(sample: object) -> None:
    path = sample.path  # type: ignore[attr-defined]
    content = pack_saved_model(path) if path.is_dir() else path.read_bytes()
    kind = tell(content)
    assert kind is not None
    assert kind.model_type is detect(path)


def test_the_value_of_an_unset_model_type_is_named() -> None:
    with pytest.raises(ModelRejected) as rejected:
        check_kind(ModelType.TENSORFLOW, PMML)
    assert str(rejected.value) == (
        "the message says TENSORFLOW (or has no modeltype), "
        "but the content looks like PMML: set modeltype PMML (2)"
    )


def test_whatever_the_bytes_nothing_is_raised() -> None:
    chance = random.Random(7)
    contents = [content for content, _ in (*SERVED.values(), *FOREIGN.values())]
    for _ in range(3000):
        damaged = bytearray(chance.choice(contents)[:5000])
        for _ in range(chance.randrange(1, 5)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        tell(bytes(damaged[: chance.randrange(1, len(damaged) + 1)]))


@pytest.mark.parametrize(
    "content",
    [
        b" " * 60_000_000,
        b"<!--" * 15_000_000,
        b"<?" + b"-->" * 20_000_000,
        b"PK\x03\x04" + b"PK\x01\x02" * 15_000_000,
        b"\x0a\x00" * 30_000_000,
        gzip.compress(bytes(100_000_000), 1),
        b"# \n" * 20_000_000,
        b"{" * 60_000_000,
    ],
    ids=["spaces", "comments", "instruction", "zip entries", "fields", "bomb", "remarks", "braces"],
)
def test_the_work_is_bounded_on_large_content(content: bytes) -> None:
    start = time.process_time()
    tell(content)
    assert time.process_time() - start < 2


@dataclass
class Library:
    """An engine that counts its calls."""

    loads: int = 0

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        self.loads += 1
        raise ModelRejected("the library was asked")


def test_an_engine_is_not_asked_for_content_of_another_kind() -> None:
    library = Library()
    engine = KindCheckedEngine(library)
    schema = RecordSchema("Record", ("x",))

    def load(content: bytes) -> str:
        with pytest.raises(ModelRejected) as rejected:
            engine.load(ModelToServe("wine", "m", ModelType.ONNX, "v", "", content), schema)
        return str(rejected.value)

    assert load(PMML).endswith("set modeltype PMML (2)")
    assert library.loads == 0
    assert [load(ONNX), load(b"\xffunknown")] == ["the library was asked"] * 2
    assert library.loads == 2


@pytest.mark.parametrize("trial_timeout_s", [0, 60])
def test_admission_asks_before_any_trial_or_library(
    monkeypatch: pytest.MonkeyPatch, trial_timeout_s: int
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a trial was made")

    monkeypatch.setattr("model_serving.engines.trial.engine._try", fail)
    settings = ServingSettings(
        record_type="model_serving.protos.winerecord_pb2:WineRecord",
        models_topic="models",
        data_topic="mdata",
        waiting=WaitingPolicy(NoModelPolicy.BUFFER, 10, bounded=False),
        keep_versions=3,
        base_dir="/",
        model_size_limit=1000,
        trial_timeout_s=trial_timeout_s,
    )
    admission = assembly.build(settings, SystemClock(), assembly.new_pool()).admission()
    message = ModelMessage("wine", "m", ModelType.TENSORFLOW, data=PMML)
    with pytest.raises(ModelRejected, match=r"looks like PMML: set modeltype PMML \(2\)$"):
        admission.decide(message, KeptVersions(InMemoryKeptModels(), "wine")).preparation.run()
