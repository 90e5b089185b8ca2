"""Finds out where a tensor of a GraphDef comes from: through identities, and into and out of functions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_serving.engines.tensorflow.reach import called_functions, data_inputs, node_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PLACEHOLDERS", "SAME_VALUES", "Origin", "Origins"]

_PARSERS = frozenset({"ParseExample", "ParseExampleV2"})
_PASSING = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_BRANCHES = frozenset({"If", "StatelessIf"})
_MOST_ELEMENTS = 100_000
_MOST_RESHAPED = 4
_MOST_STEPS = 50

PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})
SAME_VALUES = frozenset({"Reshape", "Squeeze", "ExpandDims", "EnsureShape"})
"""Operations that give their first input in another shape."""

_UNKNOWN = ""
"""In the place of the name of a placeholder that cannot be told."""

_REPEATING = SAME_VALUES | {"AsString", "Cast"}
_SIZES = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})
"""Operations whose values do not depend on those of their inputs."""

_NOTHING_BEHIND = PLACEHOLDERS | _SIZES


@dataclass(frozen=True, slots=True)
class Origin:
    """A node that gives a tensor, and the function that it is in, empty for the graph itself.

    ``node`` is None where it cannot be told: an argument of a loop, or of an unknown operation.
    """

    function: str
    node: Any


class Origins:
    """Answers for one GraphDef. The work for a tensor is at most one step for each tensor of the graph."""

    def __init__(self, graph: Any) -> None:
        self._functions = {function.signature.name: function for function in graph.library.function}
        self._nodes: dict[str, dict[str, Any]] = {"": {node.name: node for node in graph.node}}
        for name, function in self._functions.items():
            self._nodes[name] = {node.name: node for node in function.node_def}
        self._arguments = {
            name: {argument.name: index for index, argument in enumerate(function.signature.input_arg)}
            for name, function in self._functions.items()
        }
        self._calls: dict[str, list[Origin]] = defaultdict(list)
        for origin in self.nodes():
            for called in set(called_functions(origin.node)) & self._functions.keys():
                self._calls[called].append(origin)

    def nodes(self) -> Iterator[Origin]:
        """Gives all nodes of the graph and of its functions."""
        for function, nodes in self._nodes.items():
            for node in nodes.values():
                yield Origin(function, node)

    def of(self, tensor: str, function: str = "") -> list[Origin]:
        """Returns every node that may give the tensor of this name, which is inside of ``function``."""
        return list(self._walk(tensor, function, lambda _: False))

    def inputs_behind(self, tensor: str) -> set[str] | None:
        """Returns the names of the placeholders that the values of a tensor of the graph depend on.

        None where it cannot be told. What a node only waits for does not count, nor does the batch size.
        """
        found = set(self._behind(tensor))
        return None if _UNKNOWN in found else found

    def is_computed(self, tensor: str) -> bool:
        """Whether a tensor of the graph is more than an input, cast or reshaped, or always the same values.

        An input is a placeholder, or a feature of a message that is parsed.
        """
        return any(True for _ in self._behind(tensor)) and not self._repeats_input(tensor)

    def _behind(self, tensor: str) -> Iterator[str]:
        for origin in self._walk(tensor, "", lambda node: node.op not in _NOTHING_BEHIND):
            if origin.node is None:
                yield _UNKNOWN
            elif origin.node.op in PLACEHOLDERS:
                yield origin.node.name

    def _walk(self, tensor: str, function: str, goes_on: Callable[[Any], bool]) -> Iterator[Origin]:
        """Gives the nodes where a walk back from a tensor ends: those that ``goes_on`` is false for."""
        seen: set[tuple[str, str]] = set()
        pending = [(function, tensor)]
        while pending:
            place = pending.pop()
            if place in seen:
                continue
            seen.add(place)
            before = self._before(*place)
            if before is not None:
                pending.extend(before)
                continue
            node = self._nodes[place[0]].get(node_name(place[1]))
            if node is not None and goes_on(node):
                pending.extend((place[0], source) for source in data_inputs(node))
            else:
                yield Origin(place[0], node)

    def _repeats_input(self, tensor: str) -> bool:
        function = ""
        for _ in range(_MOST_STEPS):
            origins = self.of(tensor, function)
            if len(origins) != 1 or origins[0].node is None:
                return False
            node, function = origins[0].node, origins[0].function
            if node.op not in _REPEATING:
                return node.op in PLACEHOLDERS or node.op in _PARSERS
            tensor = node.input[0]
        return False

    def constant(self, tensor: str, function: str = "") -> npt.NDArray[Any] | None:
        """Returns the values of a tensor if it is a constant, reshaped or not; else None.

        The shape is the constant's own. Constants of more than 100,000 elements count as unknown.
        """
        from tensorflow.python.framework import tensor_util

        for _ in range(_MOST_RESHAPED):
            origins = self.of(tensor, function)
            if len(origins) != 1 or origins[0].node is None:
                return None
            node = origins[0].node
            if node.op != "Reshape":
                break
            tensor, function = node.input[0], origins[0].function
        if node.op != "Const":
            return None
        value = node.attr["value"].tensor
        sizes = [dimension.size for dimension in value.tensor_shape.dim]
        # A few bytes may say that they stand for a huge tensor.
        if min(sizes, default=0) < 0 or float(np.prod(sizes, dtype=np.float64)) > _MOST_ELEMENTS:
            return None
        array: npt.NDArray[Any] = tensor_util.MakeNdarray(value)
        return array

    def _before(self, function: str, tensor: str) -> list[tuple[str, str]] | None:
        """Returns the tensors that are passed on as this one, None when a node makes it."""
        name = tensor.partition(":")[0]
        node = self._nodes[function].get(name)
        if node is None:
            return self._passed_as(function, name)
        if node.op in _PASSING and node.input:
            return [(function, node.input[0])]
        called = node.attr["f"].func.name if node.op in _CALLS else node.op
        if called not in self._functions:
            return None
        results = self._functions[called].signature.output_arg
        place = self._place(tensor, [result.name for result in results])
        if place >= len(results):
            return None
        return [(called, self._functions[called].ret[results[place].name])]

    def _passed_as(self, function: str, argument: str) -> list[tuple[str, str]] | None:
        place = self._arguments.get(function, {}).get(argument)
        if place is None:
            return None
        passed = []
        for call in self._calls[function]:
            skipped = 1 if call.node.op in _BRANCHES else 0
            known = skipped or call.node.op in _CALLS or call.node.op == function
            given = data_inputs(call.node)
            if not known or place + skipped >= len(given):
                return None
            passed.append((call.function, given[place + skipped]))
        return passed

    @staticmethod
    def _place(tensor: str, results: list[str]) -> int:
        """Returns the index of a call's result: ``node``, ``node:2``, ``node:output:2``, ``node:name:0``."""
        _, *parts = tensor.split(":")
        if len(parts) == 2 and parts[0] in results and parts[0] != "output":
            return results.index(parts[0])
        return int(parts[-1]) if parts and parts[-1].isdigit() else 0
