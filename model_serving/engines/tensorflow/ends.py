"""Where a frozen graph begins and ends: its placeholders, and the operations that give its results.

The results are given by the terminal operations: those that are computed from a placeholder, and that no
other operation takes data from or waits for. Summaries and assertions that were left in the graph are no
results. ``result_output`` may also name an operation inside of the graph.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.tensorflow.leftovers import only_reports
from model_serving.engines.tensorflow.origins import PLACEHOLDERS
from model_serving.engines.tensorflow.reach import node_name, nodes_within_reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.core.engine import RecordSchema

__all__ = ["output_tensors", "placeholders", "terminals"]

_OPTIONAL = "PlaceholderWithDefault"
_INPUTS = PLACEHOLDERS - {_OPTIONAL}
_LEAVES = PLACEHOLDERS | {"Const"}
_MOST_LISTED = 8


def terminals(graph: Any, result_output: str) -> list[str]:
    """Returns the names of the terminal operations of a GraphDef, and of the one that is asked for.

    Raises:
        ModelRejected: there is none, or the one that is asked for is not in the graph.
    """
    consumers: dict[str, list[Any]] = defaultdict(list)
    awaited = set()
    for node in graph.node:
        for source in node.input:
            if not source.startswith("^"):
                consumers[node_name(source)].append(node)
            elif not only_reports(node.op):
                # An operation without outputs waits for others only to give them one name.
                awaited.add(node_name(source))
    computed = _computed(graph, consumers)
    ends = [
        node.name
        for node in graph.node
        if node.name in computed
        and node.name not in awaited
        and not only_reports(node.op)
        and all(only_reports(consumer.op) for consumer in consumers[node.name])
    ]
    wanted = node_name(result_output)
    if wanted and wanted not in ends:
        if wanted not in computed:
            raise ModelRejected(
                f"result_output names '{result_output}', which is not an operation that the graph computes "
                f"from its input: choose one of {_listed(ends)}"
            )
        ends.append(wanted)
    if not ends:
        raise ModelRejected(
            "a frozen graph must have a placeholder and an operation that is computed from it, but this one "
            f"has the placeholders {_listed([node.name for node in graph.node if node.op in _INPUTS])}: "
            "freeze it with its input and its output, or send a SavedModel"
        )
    return ends


def _computed(graph: Any, consumers: dict[str, list[Any]]) -> set[str]:
    computed: set[str] = set()
    pending = [node for node in graph.node if node.op in PLACEHOLDERS]
    while pending:
        for consumer in consumers[pending.pop().name]:
            if consumer.name not in computed:
                computed.add(consumer.name)
                pending.append(consumer)
    return computed


def placeholders(operations: Sequence[Any], schema: RecordSchema) -> dict[str, Any]:
    """Returns the tensors to feed, by the names of their operations.

    A placeholder with a default keeps it, unless there is no other input.

    Raises:
        ModelRejected: there is none, or one takes a setting of the training and not a field; the text names
            it.
    """
    found = [operation for operation in operations if operation.type in _INPUTS]
    found = found or [
        operation
        for operation in operations
        if operation.type == _OPTIONAL and operation.outputs[0].shape.rank != 0
    ]
    if not found:
        raise ModelRejected(
            "a frozen graph must have a placeholder for its input, but this one has none: "
            "freeze it with one, or send a SavedModel"
        )
    for operation in found if len(found) > 1 else ():
        tensor = operation.outputs[0]
        is_setting = tensor.shape.rank == 0 or (tensor.shape.rank is None and tensor.dtype.is_bool)
        others = any(other.outputs[0].shape.rank for other in found if other is not operation)
        if is_setting or (tensor.shape.rank is None and others and not _is_field(schema, operation.name)):
            raise ModelRejected(
                f"the graph's placeholder '{first_line(operation.name)}' ({tensor.dtype.name}) is not a "
                "field of the record, but one value for all of them, such as a dropout rate or a flag of "
                "the training: freeze the graph with a constant in its place (import_graph_def with "
                f"input_map={{'{first_line(operation.name)}:0': constant}}), or use "
                "tf.compat.v1.placeholder_with_default"
            )
    return {operation.name: operation.outputs[0] for operation in found}


def _is_field(schema: RecordSchema, name: str) -> bool:
    try:
        schema.field_named(name)
    except ModelRejected:
        return False
    return True


def output_tensors(graph: Any, whole: Any, ends: Sequence[str], result_output: str) -> dict[str, Any]:
    """Returns the tensors to fetch, by the operation's name, or ``name:0``, ``name:1`` if it has several.

    Args:
        graph: the graph that the part within reach of ``ends`` was imported into.
        whole: the GraphDef that it is a part of.
        ends: see ``terminals``.
        result_output: the tensor of this name is called so, even if its other name is shorter.
    """
    operations = [graph.get_operation_by_name(name) for name in ends]
    tensors = [tensor for operation in operations for tensor in operation.outputs]
    tensors = [tensor for tensor in tensors if not _is_guard(whole, tensor)] or tensors
    reported = {node_name(source) for node in whole.node if only_reports(node.op) for source in node.input}
    if all(tensor.shape.rank == 0 and tensor.op.name in reported for tensor in tensors):
        # A summary has, for example, the mean of the results.
        tensors = _summarized(tensors) or tensors
    named = {}
    for tensor in tensors:
        name = tensor.op.name if len(tensor.op.outputs) == 1 else tensor.name
        named[result_output if result_output == tensor.name else name] = tensor
    return named


def _is_guard(graph: Any, tensor: Any) -> bool:
    """Whether a tensor only says that an assertion held."""
    if not tensor.dtype.is_bool or tensor.shape.rank:
        return False
    return any(node.op == "Assert" for node in nodes_within_reach(graph, [tensor.op.name]))


def _summarized(tensors: Sequence[Any]) -> list[Any]:
    """Returns the tensors with a row for each record that scalars are computed from."""
    found, seen = [], set()
    pending = list(tensors)
    while pending:
        for source in pending.pop().op.inputs:
            if source.ref() in seen or source.op.type in _LEAVES:
                continue
            seen.add(source.ref())
            if source.shape.rank == 0:
                pending.append(source)
            else:
                found.append(source)
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return (", ".join(map(first_line, names[:_MOST_LISTED])) or "none") + more
