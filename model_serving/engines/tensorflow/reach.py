"""The part of a GraphDef that runs when some of its nodes run.

A model is saved with much that serving never runs: the training, the saving, a layer's ``adapt``. Only the
part within reach is checked, imported and run, so nothing else can do harm or refuse the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["called_functions", "data_inputs", "node_name", "nodes_within_reach", "within_reach"]


def node_name(tensor: str) -> str:
    """Returns the name of the node that gives a tensor, or that a control input ``^name`` waits for."""
    return tensor.removeprefix("^").partition(":")[0]


def data_inputs(node: Any) -> list[str]:
    """Returns the names of the tensors that a node computes with, without those it only waits for."""
    return [source for source in node.input if not source.startswith("^")]


def called_functions(node: Any) -> Iterator[str]:
    """Gives the names of the functions that a node may call, and the name of its operation."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def nodes_within_reach(graph: Any, roots: Iterable[str]) -> Iterator[Any]:
    """Gives the nodes that run when the nodes or tensors ``roots`` run, also those inside of functions."""
    reached, called = _reached(graph, roots)
    yield from (node for node in graph.node if node.name in reached)
    for function in graph.library.function:
        if function.signature.name in called:
            yield from function.node_def


def within_reach(graph: Any, roots: Iterable[str]) -> Any:
    """Returns a new GraphDef of the nodes that run when ``roots`` run, and of the functions they call."""
    reached, called = _reached(graph, roots)
    part = type(graph)()
    part.versions.CopyFrom(graph.versions)
    part.node.extend(node for node in graph.node if node.name in reached)
    part.library.function.extend(
        function for function in graph.library.function if function.signature.name in called
    )
    return part


def _reached(graph: Any, roots: Iterable[str]) -> tuple[set[str], set[str]]:
    """Returns the names of the nodes of the graph itself, and of the functions."""
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    reached: set[str] = set()
    pending = [node_name(root) for root in roots]
    while pending:
        name = pending.pop()
        if name in nodes and name not in reached:
            reached.add(name)
            pending.extend(node_name(source) for source in nodes[name].input)
    called: set[str] = set()
    waiting = [nodes[name] for name in reached]
    while waiting:
        for name in called_functions(waiting.pop()):
            if name in functions and name not in called:
                called.add(name)
                waiting.extend(functions[name].node_def)
    return reached, called
