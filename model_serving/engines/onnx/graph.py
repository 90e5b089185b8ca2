"""What a serialized ONNX model says about itself, read from the bytes of the message (onnx.proto).

ONNX Runtime tells the inputs and outputs of a model, but not the classes of a classifier. They are in the
graph, in the node that makes the labels. So is whether weights are in other files, and whether an input
without sizes is a scalar or has a shape that nobody knows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from model_serving.core.protobuf_fields import BYTES, VARINT, read_varint
from model_serving.engines.content.protobuf import walk

__all__ = [
    "ATTRIBUTE",
    "GRAPH",
    "INITIALIZER",
    "NODE",
    "OUTPUT",
    "Graph",
    "Node",
    "is_external",
    "name_of",
    "read_graph",
    "read_node",
    "text_of",
]

GRAPH = 7  # in ModelProto
NODE, INITIALIZER, _INPUT, OUTPUT = 1, 5, 11, 12  # in GraphProto
ATTRIBUTE = 5  # in NodeProto
_BRANCH, _BRANCHES = 6, 11  # in AttributeProto
_EXTERNAL = 1  # TensorProto.DataLocation
_STRING, _INT32, _INT64 = 8, 6, 7  # TensorProto.DataType
_MOST_CLASSES = 10_000
_LABEL_LISTS = ("classlabels_strings", "classlabels_ints", "classlabels_int64s")
_CLASSIFIERS = frozenset({"LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"})
_PASSES = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that give the labels of their first input."""

_REPEATS = _PASSES | {"Concat", "LabelEncoder"}
"""Operators that only pass on what they get, or number it."""

_SIZES = frozenset({"Shape", "Size"})
"""Operators whose values do not depend on those of their inputs."""

_WITH_GRAPHS = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_TABLES = frozenset({"ArrayFeatureExtractor", "Gather"})
"""Operators that pick from their first input."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the graph. ``content`` is its message."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    content: memoryview = field(repr=False)

    def listed(self, *names: str) -> tuple[str, ...]:
        """Returns the values of the first of these attributes that is not empty, as text."""
        found = {}
        for number, kind, value in walk(self.content):
            if number == ATTRIBUTE and kind == BYTES:
                name = next((text_of(part) for at, of, part in walk(value) if at == 1 and of == BYTES), "")
                if name in names:
                    found[name] = tuple(_attribute(value))
        return next((found[name] for name in names if found.get(name)), ())


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph: its inputs and outputs, its nodes, which node makes a tensor, and its initializers by name.

    ``scalars`` are the inputs of rank 0. Old files have the initializers among the inputs, too.
    """

    inputs: frozenset[str]
    outputs: tuple[str, ...]
    scalars: frozenset[str]
    nodes: tuple[Node, ...]
    makers: dict[str, Node] = field(repr=False)
    initializers: dict[str, memoryview] = field(repr=False)
    has_external_data: bool

    def has(self, *kinds: str) -> bool:
        """Whether a node is of one of these kinds."""
        return any(node.kind in kinds for node in self.nodes)

    def zip_map_of(self, output: str) -> Node | None:
        """Returns the ZipMap that makes an output, None when something else does."""
        node = self.makers.get(output)
        return node if node is not None and node.kind == "ZipMap" and len(node.inputs) == 1 else None

    def classes_of(self, output: str) -> tuple[str, ...]:
        """Returns all labels that an output can have, in the order in which the model counts them.

        Empty when the graph does not state them.
        """
        name = output
        for _ in range(len(self.nodes) + 1):
            node = self.makers.get(name)
            if node is None or not node.inputs:
                return ()
            if node.kind not in _PASSES:
                return tuple(dict.fromkeys(self._stated_by(node, name)))[:_MOST_CLASSES]
            name = node.inputs[0]
        return ()

    def repeats(self, output: str) -> bool:
        """Whether an output has nothing but what inputs were given: side by side, cast, or numbered."""
        pending, seen = [output], set[str]()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            node = self.makers.get(name)
            if node is not None and node.kind in _REPEATS:
                pending += node.inputs if node.kind == "Concat" else node.inputs[:1]
            elif name not in self.inputs or name in self.initializers:
                return False
        return True

    def sources(self, outputs: Iterable[str]) -> set[str]:
        """Returns the names of all tensors that outputs are computed from, inputs among them."""
        pending, seen = list(outputs), set[str]()
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                if (node := self.makers.get(name)) is not None:
                    pending += _taken_by(node)
        return seen

    def computed_from(self, inputs: Iterable[str]) -> set[str]:
        """Returns the names of all tensors whose values depend on those of inputs, these among them."""
        found = set(inputs)
        # A graph has its nodes in the order in which they can run (onnx.proto).
        for node in self.nodes:
            if node.kind not in _SIZES and not found.isdisjoint(_taken_by(node)):
                found.update(node.outputs)
        return found

    def first_categories(self) -> list[tuple[str, str | float]]:
        """Returns the name of each OneHotEncoder that has one, with its first category."""
        found: list[tuple[str, str | float]] = []
        for node in self.nodes:
            if node.kind == "OneHotEncoder" and node.name:
                if texts := node.listed("cats_strings"):
                    found.append((node.name, texts[0]))
                elif numbers := node.listed("cats_int64s"):
                    found.append((node.name, float(numbers[0])))
        return found

    def _stated_by(self, node: Node, output: str) -> Sequence[str]:
        if node.kind in _CLASSIFIERS and node.outputs[0] == output:
            return node.listed(*_LABEL_LISTS)
        if node.kind == "ZipMap":
            return node.listed(*_LABEL_LISTS)
        if node.kind == "LabelEncoder":
            values = node.listed("values_strings", "values_int64s", "values_floats")
            keys = node.listed("keys_int64s")
            if len(keys) == len(values):
                return [value for _, value in sorted(zip(map(int, keys), values, strict=True))]
            return values
        if node.kind in _TABLES:
            return self._table(node.inputs[0])
        return ()

    def _table(self, name: str) -> Sequence[str]:
        for _ in range(len(_PASSES)):
            if name in self.initializers:
                return tuple(_values(self.initializers[name]))
            node = self.makers.get(name)
            if node is None or node.kind not in _PASSES or not node.inputs:
                break
            name = node.inputs[0]
        return ()


def read_graph(content: bytes) -> Graph:
    """Reads the graph of a serialized ModelProto.

    Raises:
        ValueError: the content is not such a message.
    """
    inputs, outputs, scalars, nodes, initializers, external = set(), [], set(), [], {}, False
    for graph in _graphs(content):
        for number, kind, value in walk(graph):
            if kind == BYTES and number == NODE:
                nodes.append(read_node(value))
            elif kind == BYTES and number == OUTPUT:
                outputs.append(name_of(value))
            elif kind == BYTES and number == _INPUT:
                inputs.add(name_of(value))
                if _is_scalar(value):
                    scalars.add(name_of(value))
            elif kind == BYTES and number == INITIALIZER:
                initializers[next(map(text_of, _parts(value, 8)), "")] = value
                external |= is_external(value)
    makers = {name: node for node in nodes for name in node.outputs}
    return Graph(
        frozenset(inputs), tuple(outputs), frozenset(scalars), tuple(nodes), makers, initializers, external
    )


def _graphs(content: bytes) -> Iterator[memoryview]:
    return _parts(memoryview(content), GRAPH)


def read_node(content: memoryview) -> Node:
    """Reads a NodeProto."""
    inputs, outputs, name, op = [], [], "", ""
    for number, kind, value in walk(content):
        if kind != BYTES:
            continue
        if number == 1:
            inputs.append(text_of(value))
        elif number == 2:
            outputs.append(text_of(value))
        elif number == 3:
            name = text_of(value)
        elif number == 4:
            op = text_of(value)
    return Node(name, op, tuple(inputs), tuple(outputs), content)


def _taken_by(node: Node) -> Iterator[str]:
    """Gives the names of the tensors that a node takes, and those that its branches or its body use."""
    yield from node.inputs
    if node.kind not in _WITH_GRAPHS:
        return
    for attribute in _parts(node.content, ATTRIBUTE):
        for graph in (*_parts(attribute, _BRANCH), *_parts(attribute, _BRANCHES)):
            for inner in _parts(graph, NODE):
                yield from _taken_by(read_node(inner))
            yield from map(name_of, _parts(graph, OUTPUT))


def name_of(value_info: memoryview) -> str:
    """Returns the name in a ValueInfoProto."""
    return next(map(text_of, _parts(value_info, 1)), "")


def _is_scalar(value_info: memoryview) -> bool:
    """Whether a ValueInfoProto states a shape without sizes. One that states no shape is of unknown rank."""
    shapes = [
        shape for type_ in _parts(value_info, 2) for tensor in _parts(type_, 1) for shape in _parts(tensor, 2)
    ]
    return bool(shapes) and not any(True for shape in shapes for _ in _parts(shape, 1))


def _parts(message: memoryview, field_number: int) -> Iterator[memoryview]:
    """Gives the messages in a field of a message."""
    return (value for number, kind, value in walk(message) if number == field_number and kind == BYTES)


def is_external(tensor: memoryview) -> bool:
    """Whether a TensorProto says that its values are in another file."""
    return any(
        number == 14 and kind == VARINT and read_varint(value)[0] == _EXTERNAL
        for number, kind, value in walk(tensor)
    )


def _attribute(content: memoryview) -> Iterator[str]:
    """Gives the values of a list attribute as text, and of a tensor attribute too."""
    for number, kind, value in walk(content):
        if number == 7:
            yield from (repr(each) for each in _floats(value))
        elif number == 8:
            yield from (str(each) for each in _integers(value))
        elif number == 9 and kind == BYTES:
            yield text_of(value)
        elif number == 5 and kind == BYTES:
            yield from _values(value)


def _values(tensor: memoryview) -> Iterator[str]:
    """Gives the values of a tensor of text or whole numbers, as text."""
    data_type, raw = 0, b""
    values: list[str] = []
    for number, kind, value in walk(tensor):
        if number == 2 and kind == VARINT:
            data_type = read_varint(value)[0]
        elif number == 6 and kind == BYTES:
            values.append(text_of(value))
        elif number in {5, 7}:
            values += [str(each) for each in _integers(value)]
        elif number == 9 and kind == BYTES:
            raw = bytes(value)
    size = {_INT32: 4, _INT64: 8}.get(data_type)
    if raw and size and len(raw) <= size * _MOST_CLASSES:
        values += [str(each) for (each,) in struct.iter_unpack("<i" if size == 4 else "<q", raw)]
    if data_type in {_STRING, _INT32, _INT64} and len(values) <= _MOST_CLASSES:
        yield from values


def _integers(value: memoryview) -> Iterator[int]:
    at = 0
    while at < len(value):
        number, at = read_varint(value, at)
        yield number - (1 << 64) if number >= 1 << 63 else number


def _floats(value: memoryview) -> list[float]:
    return [each for (each,) in struct.iter_unpack("<f", bytes(value))]


def text_of(value: memoryview) -> str:
    """Returns a field of text. What is not UTF-8 becomes a replacement character."""
    return bytes(value).decode("utf-8", "replace")
