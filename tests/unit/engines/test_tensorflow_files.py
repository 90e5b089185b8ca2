"""Files and operations around a SavedModel: its own vocabularies are read, nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from tests.unit.engines.tensorflow_builders import (
    ROWS,
    Load,
    linear,
    packed,
    saved,
    saved_function,
    tf,
    v1,
    x,
)

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = np.array([["white"], ["red"], ["blue"]], dtype=object)
TEXT = tf.string.as_datatype_enum
OUTSIDE = (
    "is filled from a file outside the SavedModel: save the vocabulary with the model "
    "(tf.saved_model.Asset, or the vocabulary of a Keras layer), or give it as a list"
)


def vocabulary(tmp_path: Path) -> str:
    path = tmp_path / "colours.txt"
    path.write_text("red\nwhite\n")
    return str(path)


def table_from(path: str) -> Any:
    source = tf.lookup.TextFileInitializer(
        path,
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    return tf.lookup.StaticHashTable(source, -1)


def look_up_in(table: Any, tmp_path: Path) -> bytes:
    return saved_function(
        tmp_path,
        lambda colour: {"y": tf.cast(table.lookup(colour), tf.float32)},
        tf.TensorSpec((None, 1), tf.string, "colour"),
        table=table,
    )


def test_a_vocabulary_of_tensorflow_2_is_served(load: Load, tmp_path: Path) -> None:
    content = look_up_in(table_from(vocabulary(tmp_path)), tmp_path)
    (tmp_path / "colours.txt").unlink()
    assert list(load(ModelType.TENSORFLOWSAVED, content).score(COLOURS).result) == [1.0, 0.0, -1.0]


def test_a_vocabulary_of_tensorflow_1_is_served(load: Load, tmp_path: Path) -> None:
    path = vocabulary(tmp_path)

    def build() -> tuple[dict[str, Any], dict[str, Any]]:
        colour = x(None, 1, dtype=tf.string, name="c")
        return {"colour": colour}, {"y": tf.cast(table_from(path).lookup(colour), tf.float32)}

    content = saved(tmp_path, build)
    (tmp_path / "colours.txt").unlink()
    assert list(load(ModelType.TENSORFLOWSAVED, content).score(COLOURS).result) == [1.0, 0.0, -1.0]


def changed(content_of: Path, change: Any) -> bytes:
    """Packs a SavedModel after a change of its graph."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = content_of / "saved_model.pb"
    whole = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(whole.meta_graphs[0])
    path.write_bytes(whole.SerializeToString())
    return packed(content_of)


def add_path(graph: Any, name: str) -> None:
    node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = TEXT
    node.attr["value"].tensor.dtype = TEXT
    node.attr["value"].tensor.tensor_shape.SetInParent()
    node.attr["value"].tensor.string_val.append(b"/etc/passwd")


def reads_the_constant(meta_graph: Any) -> None:
    del meta_graph.asset_file_def[:]
    for collection in ("saved_model_assets", "asset_filepaths"):
        meta_graph.collection_def.pop(collection, None)


def reads_another_constant(meta_graph: Any) -> None:
    for node in meta_graph.graph_def.node:
        if node.op == "InitializeTableFromTextFileV2":
            node.input[1] = "elsewhere"
    add_path(meta_graph.graph_def, "elsewhere")


@pytest.mark.parametrize("change", [reads_the_constant, reads_another_constant])
def test_a_vocabulary_outside_is_refused(load: Load, tmp_path: Path, change: Any) -> None:
    path = vocabulary(tmp_path)

    def build() -> tuple[dict[str, Any], dict[str, Any]]:
        colour = x(None, 1, dtype=tf.string, name="c")
        return {"colour": colour}, {"y": tf.cast(table_from(path).lookup(colour), tf.float32)}

    saved(tmp_path, build)
    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, changed(tmp_path / "saved", change))
    assert str(caught.value).endswith(OUTSIDE)


@pytest.mark.parametrize("name", ["../../secret.txt", "/etc/passwd", "other.txt"])
def test_only_what_leaves_the_archive_is_refused(load: Load, tmp_path: Path, name: str) -> None:
    look_up_in(table_from(vocabulary(tmp_path)), tmp_path)

    def renames(meta_graph: Any) -> None:
        meta_graph.asset_file_def[0].filename = name

    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, changed(tmp_path / "saved", renames))
    assert str(caught.value) == (
        f"the SavedModel's file '{name}' is not in its folder assets: pack the whole folder that the model "
        "was saved into"
    )


def rewires_the_path(meta_graph: Any) -> None:
    """A second handle of the variable with the file's path, through which another path is written."""
    graph = meta_graph.graph_def
    assigned = next(
        node for node in graph.node if node.op == "AssignVariableOp" and node.attr["dtype"].type == TEXT
    )
    other = graph.node.add()
    other.CopyFrom(next(node for node in graph.node if node.name == assigned.input[0]))
    other.name = "other_handle"
    add_path(graph, "path")
    write = graph.node.add()
    write.CopyFrom(assigned)
    write.name = "write"
    write.input[:] = ["other_handle", "path"]
    for node in graph.node:
        if node.op == "ReadVariableOp" and node.attr["dtype"].type == TEXT:
            node.input.append("^write")


def takes_another_output(meta_graph: Any) -> None:
    """The file's path would be put in the place of the first output, and the second one is read."""
    graph = meta_graph.graph_def
    add_path(graph, "path")
    parts = graph.node.add(name="parts", op="IdentityN", input=["path", "path"])
    parts.attr["T"].list.type.extend([TEXT, TEXT])
    meta_graph.asset_file_def[0].tensor_info.name = "parts:0"
    filling = next(node for node in graph.node if "initializer" in node.attr["f"].func.name)
    filling.input[0] = "parts:1"


@pytest.mark.parametrize("change", [rewires_the_path, takes_another_output])
def test_a_path_cannot_be_changed_on_its_way(load: Load, tmp_path: Path, change: Any) -> None:
    look_up_in(table_from(vocabulary(tmp_path)), tmp_path)
    with pytest.raises(ModelRejected, match="is filled from a file outside the SavedModel"):
        load(ModelType.TENSORFLOWSAVED, changed(tmp_path / "saved", change))


def beside_the_way() -> tuple[dict[str, Any], dict[str, Any]]:
    inputs, outputs = linear()
    tf.io.read_file("/etc/passwd")
    v1.data.make_one_shot_iterator(v1.data.Dataset.range(2)).get_next()
    return inputs, outputs


def test_operations_that_serving_does_not_reach_do_not_matter(load: Load, tmp_path: Path) -> None:
    model = load(ModelType.TENSORFLOWSAVED, saved(tmp_path, beside_the_way))
    np.testing.assert_array_equal(model.score(ROWS).result, [1.0, 1.0])


def reading_with_the_tables(meta_graph: Any) -> None:
    """Reads a file when the tables are filled, and not when the model serves."""
    graph = meta_graph.graph_def
    add_path(graph, "name")
    graph.node.add(name="bad", op="ReadFile", input=["name"])
    main = meta_graph.collection_def["saved_model_main_op"].node_list.value
    next(node for node in graph.node if node.name == main[0]).input.append("^bad")


def reading_with_the_checkpoint(meta_graph: Any) -> None:
    reading_with_the_tables(meta_graph)
    graph = meta_graph.graph_def
    main = meta_graph.collection_def["saved_model_main_op"].node_list.value
    next(node for node in graph.node if node.name == main[0]).input.remove("^bad")
    restoring = meta_graph.saver_def.restore_op_name
    next(node for node in graph.node if node.name == restoring).input.append("^bad")


@pytest.mark.parametrize("change", [reading_with_the_tables, reading_with_the_checkpoint])
def test_operations_that_only_loading_reaches_matter(load: Load, tmp_path: Path, change: Any) -> None:
    saved(tmp_path, linear)
    with pytest.raises(ModelRejected, match=r"^the model's operation 'bad' \(ReadFile\) reaches files"):
        load(ModelType.TENSORFLOWSAVED, changed(tmp_path / "saved", change))


def test_the_device_of_the_training_does_not_matter(load: Load, tmp_path: Path) -> None:
    saved(tmp_path, linear)

    def placed(meta_graph: Any) -> None:
        for node in meta_graph.graph_def.node:
            node.device = "/job:worker/task:2/device:GPU:0"

    model = load(ModelType.TENSORFLOWSAVED, changed(tmp_path / "saved", placed))
    np.testing.assert_array_equal(model.score(ROWS).result, [1.0, 1.0])


def test_a_checkpoint_outside_is_refused(load: Load, tmp_path: Path) -> None:
    saved(tmp_path, linear)

    def elsewhere(meta_graph: Any) -> None:
        add_path(meta_graph.graph_def, "path")
        restoring = [node for node in meta_graph.graph_def.node if node.op == "RestoreV2"]
        restoring[0].input[0] = "path"

    with pytest.raises(ModelRejected) as caught:
        load(ModelType.TENSORFLOWSAVED, changed(tmp_path / "saved", elsewhere))
    assert str(caught.value).endswith(
        "(RestoreV2) restores from another file than the SavedModel's checkpoint: export the model again"
    )
