"""Tells whether TensorFlow failed for the values of the records, or would fail for all records.

TensorFlow says "invalid argument" of both: of matrices whose sizes do not fit, and of an index that a table
does not have. Which one it was follows from the operation that failed, which the error names.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

__all__ = ["Failures"]

_WITH_FUNCTION = re.compile(r"\{\{function_node (\S+?)\}\}\s*\{\{node (\S+?)\}\}")
_NODE = re.compile(r"\{\{node (\S+?)\}\}")

_BY_VALUES = ("InvalidArgumentError", "OutOfRangeError", "DataLossError")
_PASSING = (
    "ResourceExhaustedError",
    "CancelledError",
    "AbortedError",
    "UnavailableError",
    "DeadlineExceededError",
    "UnknownError",
)
"""Errors that say nothing about the model."""

_SIZES = re.compile(
    r"""
      (Batch|Sparse|Quantized)?MatMul(V\d)? | SparseTensorDenseMatMul | Einsum | BiasAdd(V1)? | AddN
    | Add(V2)? | Sub | Mul(NoNan)? | (Real|Floor)?Div(NoNan)? | Maximum | Minimum | Pow | SquaredDifference
    | FloorMod | Less(Equal)? | Greater(Equal)? | (Not)?Equal | LogicalAnd | LogicalOr | Select(V2)?
    | Concat(V2)? | Pack | Unpack | Split(V)? | Reshape | Squeeze | ExpandDims | Transpose | EnsureShape
    | Slice | StridedSlice | Tile | BroadcastTo | Pad(V2)? | MirrorPad
    | (DepthwiseConv2dNative|Conv\dD) | (Max|Avg)Pool\w* | FusedBatchNorm\w* | LRN
    | Sum | Mean | Prod | Max | Min | All | Any | ArgMax | ArgMin | (Log)?Softmax
    | TensorList\w+ | TensorArray\w+ | LSTMBlockCell | GRUBlockCell
    """,
    re.VERBOSE,
)
"""Operations that only the sizes of their tensors can make fail, not the values."""

_SIZES_FROM_VALUES = re.compile(
    r"Where|Unique\w*|StringSplit\w*|NonMaxSuppression\w*|DynamicPartition|ListDiff|Sparse(ToDense|Fill\w+)"
    r"|Ragged\w+|\w*Bincount|Parse(Single)?(Sequence)?Example(V2)?|Decode\w+|UnicodeDecode\w*"
)
"""Operations that give tensors whose sizes depend on the values of the records."""


def _is_one_of(names: Collection[str], error: BaseException) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


class Failures:
    """Judges the errors of one model, by the graph that it runs."""

    def __init__(self, graph: Any) -> None:
        self._operations: dict[str, dict[str, str]] = {"": {node.name: node.op for node in graph.node}}
        for function in graph.library.function:
            nodes = {node.name: node.op for node in function.node_def}
            self._operations[function.signature.name] = nodes
        self._fixed_sizes = not any(
            _SIZES_FROM_VALUES.fullmatch(operation)
            for nodes in self._operations.values()
            for operation in nodes.values()
        )

    def no_record_avoids(self, error: BaseException) -> bool:
        """Whether the model would fail for every record as it did here."""
        if _is_one_of(_PASSING, error):
            return False
        if not _is_one_of(_BY_VALUES, error):
            # A variable without a value, an operation that does not exist for the processor, ...
            return True
        operation = self._failed(str(error))
        return self._fixed_sizes and operation is not None and _SIZES.fullmatch(operation) is not None

    @staticmethod
    def place(error: BaseException) -> str:
        """Returns where in the graph the values of a record failed, "" if it was something else."""
        found = _NODE.search(str(error)) if _is_one_of(_BY_VALUES, error) else None
        return found[1] if found else ""

    def _failed(self, text: str) -> str | None:
        """Returns the type of the operation that an error names."""
        if found := _WITH_FUNCTION.search(text):
            function, name = found.groups()
            if operation := self._operations.get(function, {}).get(name):
                return operation
        elif found := _NODE.search(text):
            name = found[1]
        else:
            return None
        # TensorFlow puts a function's nodes in the place of its call, below the name of the call.
        while name:
            for nodes in self._operations.values():
                if name in nodes:
                    return nodes[name]
            name = name.partition("/")[2]
        return None
