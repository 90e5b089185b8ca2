from __future__ import annotations

from typing import Any

import pytest

from functions.core.errors import ModelRejected
from functions.engines.tensorflow_ops import (
    CHECKPOINT_READS,
    CHECKPOINT_WRITES,
    refuse_reaching_out,
    refuse_within_reach,
)
from functions.engines.tensorflow_session import import_tensorflow

tf: Any = import_tensorflow()


def graph(
    functions: dict[str, dict[str, str]] | None = None, **nodes: tuple[str, tuple[str, ...], str]
) -> Any:
    """Nodes as name=(operation, inputs, function called); functions as name={node: operation}."""
    definition = tf.compat.v1.GraphDef()
    for name, (operation, inputs, function) in nodes.items():
        node = definition.node.add(name=name, op=operation, input=inputs)
        if function:
            node.attr["f"].func.name = function
    for name, body in (functions or {}).items():
        added = definition.library.function.add()
        added.signature.name = name
        for node_name, operation in body.items():
            added.node_def.add(name=node_name, op=operation)
    return definition


@pytest.mark.parametrize(
    "operation",
    [
        "ReadFile",
        "WriteFile",
        "MatchingFiles",
        "PyFunc",
        "PyFuncStateless",
        "EagerPyFunc",
        "PrintV2",
        "TextLineDataset",
        "TFRecordReaderV2",
        "ReaderReadV2",
        "IteratorGetNext",
        "InitializeTableFromTextFileV2",
        "CreateSummaryFileWriter",
        "RpcClient",
        "_HostRecv",
        "CollectiveReduceV2",
        "DebugIdentityV2",
    ],
)
def test_operations_that_reach_out_are_refused_everywhere(operation: str) -> None:
    text = (
        f"the model's operation 'bad' ({operation}) reaches files, hosts or code outside of it: "
        "export the model without it"
    )
    for definition in (graph(bad=(operation, (), "")), graph({"unused": {"bad": operation}})):
        with pytest.raises(ModelRejected) as caught:
            refuse_reaching_out(definition)
        assert str(caught.value) == text


@pytest.mark.parametrize(
    "operation",
    [
        "MatMul",
        "ReadVariableOp",
        "TensorArrayReadV3",
        "VariableV2",
        "RestoreV2",
        "StatefulPartitionedCall",
        "HashTableV2",
        "LookupTableFindV2",
        "DeepCopy",
        "RandomUniform",
        "StringJoin",
        "Assert",
        "CheckNumerics",
    ],
)
def test_operations_of_ordinary_models_are_not(operation: str) -> None:
    refuse_reaching_out(graph(fine=(operation, (), "")))


SAVED = graph(
    {"save": {"write": "MergeV2Checkpoints"}, "restore": {"read": "RestoreV2"}, "serve": {"sum": "Add"}},
    serving=("StatefulPartitionedCall", ("x:0",), "serve"),
    saver=("StatefulPartitionedCall", (), "save"),
    restorer=("StatefulPartitionedCall", ("^x",), "restore"),
    waiting=("Identity", ("x", "^saver"), ""),
    x=("Placeholder", (), ""),
)


def test_checkpoint_operations_may_lie_in_a_model_that_does_not_run_them() -> None:
    refuse_within_reach(SAVED, ["serving:0"], CHECKPOINT_READS | CHECKPOINT_WRITES)
    refuse_within_reach(SAVED, ["restorer"], CHECKPOINT_WRITES)


@pytest.mark.parametrize(
    ("root", "refused", "found"),
    [
        ("waiting:0", CHECKPOINT_WRITES, "'write' (MergeV2Checkpoints)"),
        ("restorer", CHECKPOINT_READS, "'read' (RestoreV2)"),
    ],
)
def test_checkpoint_operations_that_would_run_are_refused(
    root: str, refused: frozenset[str], found: str
) -> None:
    with pytest.raises(ModelRejected) as caught:
        refuse_within_reach(SAVED, [root], refused)
    assert str(caught.value) == (
        f"the model's operation {found} would touch files while the model serves: export the model without it"
    )
