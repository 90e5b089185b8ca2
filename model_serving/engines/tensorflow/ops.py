"""Checks the operations of a TensorFlow model: none may reach files, hosts or Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.tensorflow.op_names import computes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["CHECKPOINT_READS", "CHECKPOINT_WRITES", "refuse_reaching_out", "refuse_within_reach"]

CHECKPOINT_READS = frozenset({"Restore", "RestoreV2", "RestoreSlice"})
CHECKPOINT_WRITES = frozenset({"Save", "SaveV2", "SaveSlices", "MergeV2Checkpoints"})


def refuse_reaching_out(graph: Any) -> None:
    """Refuses a GraphDef if an operation in it, or in one of its functions, does more than compute.

    Checkpoint operations are left to ``refuse_within_reach``.

    Raises:
        ModelRejected: there is such an operation; the text names it.
    """
    functions = {function.signature.name for function in graph.library.function}
    for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def)):
        if computes(node.op) or node.op in CHECKPOINT_READS | CHECKPOINT_WRITES:
            continue
        # A function is called by its name. With the name of an operation, it is not clear which one runs.
        if node.op not in functions or _is_registered(node.op):
            raise ModelRejected(
                f"the model's operation '{first_line(node.name)}' ({first_line(node.op)}) reaches files, "
                "hosts or code outside the model, or is not known: export the model without it"
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
    for node in _run_with(graph, roots):
        if node.op in refused:
            raise ModelRejected(
                f"the model's operation '{node.name}' ({node.op}) would touch files while the model serves: "
                "export the model without it"
            )


def _run_with(graph: Any, roots: Iterable[str]) -> Iterator[Any]:
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    seen_functions: set[str] = set()
    seen: set[str] = set()
    names = [_node_name(root) for root in roots]
    bodies: list[Any] = []
    while names or bodies:
        if bodies:
            node = bodies.pop()
        else:
            name = names.pop()
            if name in seen or name not in nodes:
                continue
            seen.add(name)
            node = nodes[name]
            names.extend(_node_name(source) for source in node.input)
        yield node
        for called in _functions_of(node):
            if called in functions and called not in seen_functions:
                seen_functions.add(called)
                bodies.extend(functions[called].node_def)


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _functions_of(node: Any) -> Iterator[str]:
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)
