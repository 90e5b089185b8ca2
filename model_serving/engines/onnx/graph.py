"""What a serialized ONNX model says about itself, read from the bytes of the message (onnx.proto).

ONNX Runtime tells the inputs and outputs of a model, but not the classes of a classifier. They are in the
graph, in the node that makes the labels. And ONNX Runtime gives the output of a ZipMap as a Python map for
each record, which takes longer than to score a small model: ``plain`` takes ZipMap out of the graph, so that
the tensor before it is the output, with the same numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from model_serving.engines.content.protobuf import LEN, VARINT, varint, walk

__all__ = ["Graph", "Node", "plain", "read_graph"]

_GRAPH = 7  # in ModelProto
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12  # in GraphProto
_EXTERNAL = 1  # TensorProto.DataLocation
_STRING, _INT32, _INT64 = 8, 6, 7  # TensorProto.DataType
_MOST_CLASSES = 10_000
_LABEL_LISTS = ("classlabels_strings", "classlabels_ints", "classlabels_int64s")
_CLASSIFIERS = frozenset({"LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"})
_PASSES = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that give the labels of their first input."""

_TABLES = frozenset({"ArrayFeatureExtractor", "Gather"})
"""Operators that pick from their first input."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the graph. ``content`` is its message."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    content: memoryview = field(repr=False)

    def listed(self, *names: str) -> tuple[str, ...]:
        """Returns the values of the first of these attributes that is not empty, as text."""
        found = {}
        for number, kind, value in walk(self.content):
            if number == 5 and kind == LEN:
                name = next((_text(part) for at, of, part in walk(value) if at == 1 and of == LEN), "")
                if name in names:
                    found[name] = tuple(_attribute(value))
        return next((found[name] for name in names if found.get(name)), ())


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph: its outputs, its nodes, which node makes a tensor, and its initializers' messages by name."""

    outputs: tuple[str, ...]
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
    outputs, nodes, initializers, external = [], [], {}, False
    for graph in _graphs(content):
        for number, kind, value in walk(graph):
            if kind == LEN and number == _NODE:
                nodes.append(_node(value))
            elif kind == LEN and number == _OUTPUT:
                outputs.append(_name(value))
            elif kind == LEN and number == _INITIALIZER:
                name, is_external = _tensor_header(value)
                initializers[name] = value
                external |= is_external
    makers = {name: node for node in nodes for name in node.outputs}
    return Graph(tuple(outputs), tuple(nodes), makers, initializers, external)


def plain(content: bytes, zip_maps: dict[str, str]) -> bytes:
    """Returns the model without ZipMap: ``zip_maps`` gives for an output of ZipMap the tensor before it."""
    made = bytearray()
    for number, kind, value in walk(memoryview(content)):
        made += _field(
            number, kind, _plain_graph(value, zip_maps) if number == _GRAPH and kind == LEN else value
        )
    return bytes(made)


def _plain_graph(graph: memoryview, zip_maps: dict[str, str]) -> bytes:
    made = bytearray()
    given = {_name(value) for number, kind, value in walk(graph) if number == _OUTPUT and kind == LEN}
    for number, kind, value in walk(graph):
        if kind == LEN and number == _NODE:
            node = _node(value)
            if node.kind == "ZipMap" and set(node.outputs) & zip_maps.keys():
                continue
        if kind == LEN and number == _OUTPUT and _name(value) in zip_maps:
            tensor = zip_maps[_name(value)]
            if tensor not in given:
                given.add(tensor)
                made += _field(_OUTPUT, LEN, _field(1, LEN, tensor.encode()))
            continue
        made += _field(number, kind, value)
    return bytes(made)


def _field(number: int, kind: int, value: bytes | memoryview) -> bytes:
    size = _encoded(len(value)) if kind == LEN else b""
    return b"".join((_encoded(number << 3 | kind), size, value))


def _encoded(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _graphs(content: bytes) -> Iterator[memoryview]:
    for number, kind, value in walk(memoryview(content)):
        if number == _GRAPH and kind == LEN:
            yield value


def _node(content: memoryview) -> Node:
    inputs, outputs, op = [], [], ""
    for number, kind, value in walk(content):
        if kind != LEN:
            continue
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            op = _text(value)
    return Node(op, tuple(inputs), tuple(outputs), content)


def _name(value_info: memoryview) -> str:
    return next((_text(value) for number, kind, value in walk(value_info) if number == 1 and kind == LEN), "")


def _tensor_header(tensor: memoryview) -> tuple[str, bool]:
    name, external = "", False
    for number, kind, value in walk(tensor):
        if number == 8 and kind == LEN:
            name = _text(value)
        elif number == 14 and kind == VARINT:
            external = varint(value)[0] == _EXTERNAL
    return name, external


def _attribute(content: memoryview) -> Iterator[str]:
    """Gives the values of a list attribute as text, and of a tensor attribute too."""
    for number, kind, value in walk(content):
        if number == 7:
            yield from (repr(each) for each in _floats(value))
        elif number == 8:
            yield from (str(each) for each in _integers(value))
        elif number == 9 and kind == LEN:
            yield _text(value)
        elif number == 5 and kind == LEN:
            yield from _values(value)


def _values(tensor: memoryview) -> Iterator[str]:
    """Gives the values of a tensor of text or whole numbers, as text."""
    data_type, raw = 0, b""
    values: list[str] = []
    for number, kind, value in walk(tensor):
        if number == 2 and kind == VARINT:
            data_type = varint(value)[0]
        elif number == 6 and kind == LEN:
            values.append(_text(value))
        elif number in {5, 7}:
            values += [str(each) for each in _integers(value)]
        elif number == 9 and kind == LEN:
            raw = bytes(value)
    size = {_INT32: 4, _INT64: 8}.get(data_type)
    if raw and size and len(raw) <= size * _MOST_CLASSES:
        values += [str(each) for (each,) in struct.iter_unpack("<i" if size == 4 else "<q", raw)]
    if data_type in {_STRING, _INT32, _INT64} and len(values) <= _MOST_CLASSES:
        yield from values


def _integers(value: memoryview) -> Iterator[int]:
    at = 0
    while at < len(value):
        number, at = varint(value, at)
        yield number - (1 << 64) if number >= 1 << 63 else number


def _floats(value: memoryview) -> list[float]:
    return [each for (each,) in struct.iter_unpack("<f", bytes(value))]


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")
