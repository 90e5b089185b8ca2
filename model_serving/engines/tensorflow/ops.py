"""Checks the operations of a TensorFlow model: none may reach files, hosts or Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.tensorflow.op_names import computes
from model_serving.engines.tensorflow.origins import Origin, Origins
from model_serving.engines.tensorflow.reach import data_inputs, nodes_within_reach

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "CHECKPOINT_READS",
    "CHECKPOINT_WRITES",
    "TABLE_FILES",
    "refuse_foreign_checkpoints",
    "refuse_foreign_files",
    "refuse_reaching_out",
    "refuse_within_reach",
]

CHECKPOINT_READS = frozenset({"Restore", "RestoreV2", "RestoreSlice"})
CHECKPOINT_WRITES = frozenset({"Save", "SaveV2", "SaveSlices", "MergeV2Checkpoints"})
TABLE_FILES = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
"""Operations that fill a table from a file: of a SavedModel's own files, for which see below."""

_TEXT = 7
"""DT_STRING of ``tensorflow/core/framework/types.proto``."""

_FED = frozenset({"Placeholder", "PlaceholderWithDefault", "Const"})
"""Operations that exporters keep the path of a vocabulary or of the checkpoint in."""

_WITHOUT_IT = "export the model without it"
_ADVICE = {
    "XlaCallModule": (
        "it is code that JAX compiled: load the model with Keras's TensorFlow backend "
        "(KERAS_BACKEND=tensorflow) and export it from there"
    )
}

_WRITES = re.compile(r"Resource(Scatter|StridedSlice)\w*|Assign(Add|Sub)?(VariableOp)?|Scatter\w*")
"""Operations that write into a variable, besides ``AssignVariableOp``."""


def refuse_reaching_out(graph: Any, *, tables: bool = False) -> None:
    """Refuses a GraphDef if an operation in it, or in one of its functions, does more than compute.

    Checkpoint operations are left to ``refuse_within_reach``, tables from files to ``refuse_foreign_files``
    if ``tables``.

    Raises:
        ModelRejected: there is such an operation; the text names it.
    """
    left = CHECKPOINT_READS | CHECKPOINT_WRITES | (TABLE_FILES if tables else frozenset())
    functions = {function.signature.name for function in graph.library.function}
    for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def)):
        if computes(node.op) or node.op in left:
            continue
        # A function is called by its name. With the name of an operation, it is not clear which one runs.
        if node.op not in functions or _is_registered(node.op):
            raise ModelRejected(
                f"the model's operation '{first_line(node.name)}' ({first_line(node.op)}) reaches files, "
                f"hosts or code outside the model, or is not known: {_ADVICE.get(node.op, _WITHOUT_IT)}"
            )


def _is_registered(operation: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(operation) is not None


def refuse_within_reach(graph: Any, roots: Iterable[str], refused: frozenset[str]) -> None:
    """Refuses a GraphDef if an operation of ``refused`` runs when the nodes ``roots`` run.

    A SavedModel has save and restore operations of its own. They may be in the graph, but they must not run
    while the model serves.

    Raises:
        ModelRejected: there is such an operation; the text names it.
    """
    for node in nodes_within_reach(graph, roots):
        if node.op in refused:
            raise ModelRejected(
                f"the model's operation '{node.name}' ({node.op}) would touch files while the model serves: "
                "export the model without it"
            )


def refuse_foreign_files(graph: Any, assets: Collection[str]) -> None:
    """Refuses a GraphDef if one of its tables is filled from another file than the model's own.

    Args:
        graph: all that is imported.
        assets: the nodes that give the paths of the SavedModel's own files.

    Raises:
        ModelRejected: there is such a table; the text names it.
    """
    origins = Origins(graph)
    tables = [place for place in origins.nodes() if place.node.op in TABLE_FILES]
    written = _written_texts(origins) if tables else []
    for place in tables:
        given = data_inputs(place.node)
        found = origins.of(given[1], place.function) if len(given) > 1 else []
        read = [path for path in found if path.node is not None and path.node.op == "ReadVariableOp"]
        paths = [path for path in found if path not in read] + (written if read else [])
        if not paths or not all(_is_fed(path, assets) for path in paths):
            raise ModelRejected(
                f"the model's table '{first_line(place.node.name)}' is filled from a file outside the "
                "SavedModel: save the vocabulary with the model (tf.saved_model.Asset, or the vocabulary of "
                "a Keras layer), or give it as a list"
            )


def refuse_foreign_checkpoints(graph: Any, filename: str) -> None:
    """Refuses a GraphDef if it restores from another file than its own checkpoint.

    Args:
        graph: all that is imported.
        filename: the node that is fed the path of the SavedModel's checkpoint.

    Raises:
        ModelRejected: there is such an operation; the text names it.
    """
    origins = Origins(graph)
    for place in origins.nodes():
        if place.node.op in CHECKPOINT_READS:
            given = data_inputs(place.node)
            paths = origins.of(given[0], place.function) if given else []
            if not paths or not all(_is_fed(path, {filename}) for path in paths):
                raise ModelRejected(
                    f"the model's operation '{first_line(place.node.name)}' ({place.node.op}) restores from "
                    "another file than the SavedModel's checkpoint: export the model again"
                )


def _is_fed(path: Origin, fed: Collection[str]) -> bool:
    # The path is fed in the place of the node's only output; others of it would keep the model's own text.
    node = path.node
    return not path.function and node is not None and node.name in fed and node.op in _FED


def _written_texts(origins: Origins) -> list[Origin]:
    """Returns where every text comes from that is written into any variable.

    TensorFlow 2 keeps the path of a file in a variable. Two handles may mean the same variable, so all count.
    """
    found: list[Origin] = []
    for place in origins.nodes():
        given = data_inputs(place.node)
        if place.node.op == "AssignVariableOp":
            if place.node.attr["dtype"].type == _TEXT:
                found += origins.of(given[1], place.function) if len(given) > 1 else [Origin("", None)]
        elif _WRITES.fullmatch(place.node.op) and _TEXT in {value.type for value in place.node.attr.values()}:
            found.append(Origin("", None))
    return found
