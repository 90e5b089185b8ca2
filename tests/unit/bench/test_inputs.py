"""What goes into the measured systems: records of one size, editions of a model, generated PMML."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.inputs import BenchModel, small_regression
from bench.large_forest import write_forest
from bench.records import RECORD_BYTES, RecordMaker, data_types, epoch_ms
from model_serving.client.samples import sample_folder
from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines import engine_for
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord

MODELS = sample_folder() / "models"


def test_every_record_has_the_promised_size_with_its_time() -> None:
    maker = RecordMaker()
    stamp = maker.record_type.stamp(epoch_ms())
    records = [record + stamp for record in maker.bodies]
    assert {len(record) for record in records} == {RECORD_BYTES}
    assert {WineRecord.FromString(record).dataType for record in records} == {"wine"}
    assert len(set(records)) > 100


def test_records_go_round_the_data_types_and_can_go_on_anywhere() -> None:
    maker = RecordMaker(3)
    names = [WineRecord.FromString(record).dataType for record in itertools.islice(maker.stream(4), 4)]
    assert names == ["wine-1", "wine-2", "wine-0", "wine-1"]
    assert data_types(3) == ["wine-0", "wine-1", "wine-2"]


def test_records_of_many_types_keep_their_measurements() -> None:
    one, many = RecordMaker(), RecordMaker(2)
    record = WineRecord.FromString(many.bodies[0])
    assert record.dataType == "wine-0"
    record.dataType = "wine"
    assert record == WineRecord.FromString(one.bodies[0])


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("wine_glm.pmml", ModelType.PMML),
        ("wine_frozen_graph.pb", ModelType.TENSORFLOW),
        ("wine_regression.onnx", ModelType.ONNX),
    ],
)
def test_an_edition_has_bytes_of_its_own_and_is_the_same_kind_of_model(
    file: str, kind: ModelType, tmp_path: Path
) -> None:
    model = BenchModel("key", "title", MODELS / file)
    messages = [model.message(edition=edition) for edition in range(3)]
    assert len({message.sha256 for message in messages}) == 3
    for message in messages:
        copy = tmp_path / "copy"
        copy.write_bytes(message.data)
        assert BenchModel("key", "title", copy).kind is kind


def test_the_peer_is_told_the_kind_of_a_model_that_it_can_load() -> None:
    glm = BenchModel("glm", "", MODELS / "wine_glm.pmml")
    onnx = BenchModel("onnx", "", MODELS / "wine_regression.onnx")
    assert (glm.preload, onnx.preload) == (f"{MODELS / 'wine_glm.pmml'}:PMML", None)


def test_a_forest_has_complete_trees(tmp_path: Path) -> None:
    write_forest(tmp_path / "forest.pmml", trees=3, depth=4, seed=1)
    space = {"p": "http://www.dmg.org/PMML-4_3"}
    root = ET.parse(tmp_path / "forest.pmml").getroot()
    trees = root.findall(".//p:TreeModel", space)
    assert [len(tree.findall(".//p:Node", space)) for tree in trees] == [2**5 - 1] * 3


def test_small_regressions_differ_and_are_taken_by_the_engine() -> None:
    first, second = (small_regression(f"wine-{number}", number) for number in (0, 1))
    assert first.data != second.data
    assert (second.name, second.dataType, second.modeltype) == (
        "regression 1",
        "wine-1",
        ModelDescriptor.PMML,
    )
    offered = ModelToServe("wine-1", "regression 1", ModelType.PMML, "1", "", second.data)
    fields = tuple(field.name for field in WineRecord.DESCRIPTOR.fields if field.number < 12)
    model = engine_for(ModelType.PMML).load(offered, RecordSchema("WineRecord", fields))
    model.close()
    assert sorted(model.fields) == ["alcohol", "pH", "sulphates"]
