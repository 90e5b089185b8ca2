"""Fills the variables and tables of a SavedModel in a session, from the SavedModel's own files only."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import first_line, rejecting
from model_serving.engines.tensorflow.reach import called_functions, data_inputs, node_name
from model_serving.engines.tensorflow.signatures import INITIALIZER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["asset_files", "initializers", "restore"]

_INITIALIZER_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_ASSETS_COLLECTION = "saved_model_assets"
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"


def initializers(meta_graph: Any) -> list[str]:
    """Returns the names of the operations that fill the tables."""
    found: list[str] = []
    if INITIALIZER in meta_graph.signature_def:
        tensors = meta_graph.signature_def[INITIALIZER].outputs.values()
        found += [node_name(tensor.name) for tensor in tensors]
    for collection in _INITIALIZER_COLLECTIONS:
        if collection in meta_graph.collection_def:
            found += [node_name(name) for name in meta_graph.collection_def[collection].node_list.value]
    return list(dict.fromkeys(found))


def asset_files(meta_graph: Any, folder: Path) -> dict[str, str]:
    """Returns the path of each of the SavedModel's own files, by the node that gives it in the graph.

    Raises:
        ModelRejected: a file is not in the folder ``assets`` of the SavedModel; the text names it.
    """
    found = {}
    for asset in _assets(meta_graph):
        name = PurePosixPath(asset.filename)
        path = folder / "assets" / name
        inside = not name.is_absolute() and ".." not in name.parts
        if not inside or not path.is_file():
            raise ModelRejected(
                f"the SavedModel's file '{first_line(asset.filename)}' is not in its folder assets: "
                "pack the whole folder that the model was saved into"
            )
        found[node_name(asset.tensor_info.name)] = str(path)
    return found


def _assets(meta_graph: Any) -> Iterable[Any]:
    if meta_graph.asset_file_def or _ASSETS_COLLECTION not in meta_graph.collection_def:
        yield from meta_graph.asset_file_def
        return
    from tensorflow.core.protobuf import meta_graph_pb2

    for packed in meta_graph.collection_def[_ASSETS_COLLECTION].any_list.value:
        asset = meta_graph_pb2.AssetFileDef()
        packed.Unpack(asset)
        yield asset


def restore(
    tf: Any, session: Any, meta_graph: Any, part: Any, folder: Path, assets: Mapping[str, str]
) -> None:
    """Fills variables from the checkpoint and tables from ``assets``, and checks that none is left out.

    Args:
        tf: the module.
        session: its graph holds ``part``.
        meta_graph: the whole MetaGraphDef.
        part: what was imported of its graph.
        folder: the SavedModel's.
        assets: see ``asset_files``.

    Raises:
        ModelRejected: the checkpoint is damaged, or a variable has no value in it.
    """
    prefix = str(folder / "variables" / "variables")
    saver = meta_graph.saver_def
    names = {node.name for node in part.node}
    if saver.restore_op_name in names and (folder / "variables" / "variables.index").is_file():
        operation = session.graph.get_operation_by_name(saver.restore_op_name)
        session.run(operation, {saver.filename_tensor_name: prefix})
    paths = {f"{node}:0": path for node, path in assets.items() if node in names}
    for name in initializers(meta_graph):
        session.run(session.graph.get_operation_by_name(name), paths)
    missing = _without_value(tf, session, part)
    if missing:
        _restore_captured(tf, session, meta_graph, part, prefix, missing)


def _without_value(tf: Any, session: Any, part: Any) -> list[str]:
    handles = [node.name for node in part.node if node.op == "VarHandleOp"]
    if not handles:
        return []
    with session.graph.as_default():
        filled = [
            tf.raw_ops.VarIsInitializedOp(resource=session.graph.get_tensor_by_name(f"{name}:0"))
            for name in handles
        ]
    return [name for name, done in zip(handles, session.run(filled), strict=True) if not done]


def _restore_captured(
    tf: Any, session: Any, meta_graph: Any, part: Any, prefix: str, handles: list[str]
) -> None:
    """Fills the variables that the graph's own restore operation leaves out.

    ``tf.saved_model.save`` of a Keras 3 model writes such graphs: they restore copies of the variables that
    nothing reads. ``tf.saved_model.load`` does not see that, because it restores the objects that the
    functions capture; so does this.
    """
    with rejecting("the SavedModel's checkpoint cannot be read"):
        reader = tf.train.load_checkpoint(prefix)
        keys = _checkpoint_keys(meta_graph.object_graph_def, _checkpointed(reader))
        captured = _captured(meta_graph.object_graph_def, part)
        known = reader.get_variable_to_shape_map()
    feeds, assigned = {}, []
    for handle in handles:
        key = keys.get(captured.get(handle, -1), "")
        if key not in known:
            raise ModelRejected(
                f"the SavedModel's variable '{first_line(handle)}' has no value in its checkpoint: "
                "export the model again, with model.export(folder) if it is a Keras 3 model"
            )
        value = reader.get_tensor(key)
        with session.graph.as_default():
            given = tf.compat.v1.placeholder(value.dtype, value.shape)
            resource = session.graph.get_tensor_by_name(f"{handle}:0")
            assigned.append(tf.raw_ops.AssignVariableOp(resource=resource, value=given))
        feeds[given] = value
    session.run(assigned, feeds)


def _checkpointed(reader: Any) -> Any:
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    objects = trackable_object_graph_pb2.TrackableObjectGraph()
    if reader.has_tensor(_OBJECTS):
        objects.ParseFromString(reader.get_tensor(_OBJECTS))
    return objects


def _checkpoint_keys(saved: Any, checkpointed: Any) -> dict[int, str]:
    """Returns the checkpoint's key of each variable, by its number among the SavedModel's objects.

    Both graphs name the ways from an object to the next one; the same way leads to the same object.
    """
    keys: dict[int, str] = {}
    seen: set[int] = set()
    pending = [(0, 0)] if saved.nodes and checkpointed.nodes else []
    while pending:
        number, other = pending.pop()
        if number in seen or number >= len(saved.nodes) or other >= len(checkpointed.nodes):
            continue
        seen.add(number)
        for attribute in checkpointed.nodes[other].attributes:
            if attribute.name == _VALUE:
                keys[number] = attribute.checkpoint_key
        ways = {child.local_name: child.node_id for child in checkpointed.nodes[other].children}
        pending.extend(
            (child.node_id, ways[child.local_name])
            for child in saved.nodes[number].children
            if child.local_name in ways
        )
    return keys


def _captured(saved: Any, part: Any) -> dict[str, int]:
    """Returns the number of the object that a node stands for, from the functions that capture it."""
    found: dict[str, int] = {}
    for node in part.node:
        for name in called_functions(node):
            if name not in saved.concrete_functions:
                continue
            bound = saved.concrete_functions[name].bound_inputs
            given = data_inputs(node)
            # A function's captured objects come after its own arguments.
            captured = given[len(given) - len(bound) :] if len(bound) <= len(given) else []
            found.update(zip(map(node_name, captured), bound, strict=False))
    return found
