"""Takes out of a GraphDef what its training left there, and what does not change any of its results.

These are devices (a model that was trained on a GPU also runs on a CPU), colocations, and operations that
print or write summaries for people to read.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["only_reports", "take_out_leftovers"]

_PRINT = "Print"
"""TensorFlow 1: gives its first input unchanged, and prints the others."""

_WITHOUT_OUTPUT = re.compile(r"PrintV2|FlushSummaryWriter|Write\w*Summary|CloseSummaryWriter")
_SUMMARY = re.compile(r"(Scalar|Histogram|Image|Audio|Tensor|Merge)Summary(V2)?")


def only_reports(operation: str) -> bool:
    """Whether an operation, given by its type, gives nothing that a record's score could be."""
    return bool(
        operation in {"Assert", "NoOp", "ControlTrigger"}
        or _WITHOUT_OUTPUT.fullmatch(operation)
        or _SUMMARY.fullmatch(operation)
    )


def take_out_leftovers(graph: Any) -> None:
    """Changes a GraphDef so that nothing prints, writes summaries, or asks for a device."""
    for node in graph.node:
        _clean(node)
    for function in graph.library.function:
        for node in function.node_def:
            _clean(node)


def _clean(node: Any) -> None:
    node.device = ""
    # It names another operation, which need not be within reach.
    node.attr.pop("_class", None)
    waited = [source for source in node.input if source.startswith("^")]
    if node.op == _PRINT and node.input:
        _become(node, "Identity", [node.input[0], *waited])
    elif _WITHOUT_OUTPUT.fullmatch(node.op):
        _become(node, "NoOp", waited)


def _become(node: Any, operation: str, inputs: list[str]) -> None:
    other = type(node)(name=node.name, op=operation, input=inputs)
    if operation == "Identity":
        other.attr["T"].CopyFrom(node.attr["T"])
    node.CopyFrom(other)
