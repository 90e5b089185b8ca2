from __future__ import annotations

import re
from typing import Any

import pytest

from model_serving.core.errors import ModelRejected
from model_serving.engines.tensorflow.op_names import computes
from model_serving.engines.tensorflow.ops import (
    CHECKPOINT_READS,
    CHECKPOINT_WRITES,
    refuse_reaching_out,
    refuse_within_reach,
)
from model_serving.engines.tensorflow.session import import_tensorflow

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
        "ImmutableConst",
        "DecodeProtoV2",
        "XlaCustomCallV2",
        "SaveDatasetV2",
        "TensorForestTreeDeserialize",
        "NobodyKnowsIt",
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
        f"the model's operation 'bad' ({operation}) reaches files, hosts or code outside the model, or is "
        "not known: export the model without it"
    )
    for definition in (graph(bad=(operation, (), "")), graph({"unused": {"bad": operation}})):
        with pytest.raises(ModelRejected) as caught:
            refuse_reaching_out(definition)
        assert str(caught.value) == text


def test_the_refusal_of_what_jax_compiled_says_how_to_export_it() -> None:
    with pytest.raises(ModelRejected, match=r"XlaCallModule.*KERAS_BACKEND=tensorflow"):
        refuse_reaching_out(graph(bad=("XlaCallModule", (), "")))


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
        "ReluGrad",
        "ResourceApplyAdam",
        "ScalarSummary",
    ],
)
def test_operations_of_ordinary_models_are_not(operation: str) -> None:
    refuse_reaching_out(graph(fine=(operation, (), "")))


def test_a_function_may_be_called_by_its_name_unless_that_is_an_operations() -> None:
    refuse_reaching_out(graph({"mine": {"sum": "Add"}}, call=("mine", (), "")))
    for functions, operation in (
        ({"ReadFile": {"sum": "Add"}}, "ReadFile"),
        ({"mine": {"bad": "ReadFile"}}, "mine"),
        ({"mine": {"inner": "deeper"}, "deeper": {"bad": "ReadFile"}}, "mine"),
    ):
        with pytest.raises(ModelRejected, match=r"\(ReadFile\) reaches files"):
            refuse_reaching_out(graph(functions, call=(operation, (), "")))


REACHING_OUT = re.compile(
    r"""
      (Eager)?PyFunc(Stateless)? | .*Python.*
    | ReadFile | WriteFile | MatchingFiles | DumpTensor | ImmutableConst | .*Proto(V2)? | .*(File|Directory).*
    | LoadAndRemapMatrix | RecordInput | FixedUnigramCandidateSampler | GenerateVocabRemapping
    | CalibrationStatisticsSaver | .*(Save|Restore|Checkpoint).* | .*Print.* | Copy(Host)? | Debug.*
    | .*(Reader|Dataset|Iterator|Snapshot).*
    | (Create|Write|Flush|Close).*Summary.* | SummaryWriter | ImportEvent | StatsAggregator.*
    | Rpc.* | RemoteCall | _?(Host)?(Send|Recv) | .*DataService.* | Collective.* | .*Nccl.*
    | .*TPU.* | (In|Out)feed.* | WorkerHeartbeat | Xla.* | .*Session.* | Abort | Sleep.*
    """,
    re.VERBOSE,
)


def test_no_operation_of_this_tensorflow_that_reaches_out_is_said_to_compute() -> None:
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as c_api

    registered = op_def_pb2.OpList.FromString(c_api.TF_GetBuffer(c_api.TF_GetAllOpList()))
    names = {operation.name for operation in registered.op}
    assert len(names) > 1000
    assert {name for name in names if computes(name) and REACHING_OUT.fullmatch(name)} == {
        # Text to text.
        "ShardedFilename",
        "ShardedFilespec",
    }
    assert 700 < sum(map(computes, names)) < 1100


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
