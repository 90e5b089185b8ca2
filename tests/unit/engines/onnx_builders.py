"""Small ONNX models that tests make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from onnx import TensorProto, helper

__all__ = [
    "DOUBLE",
    "FLOAT",
    "ROWS",
    "TEXT",
    "TRUTH",
    "WHOLE",
    "classifier",
    "external",
    "model_of",
    "of_categories",
    "scaled",
    "value",
    "weighed",
    "zipped",
]

ROWS = np.array([[1.0, 2.0], [3.0, 1.0]])
FLOAT, DOUBLE, WHOLE, TEXT, TRUTH = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.INT64,
    TensorProto.STRING,
    TensorProto.BOOL,
)


def value(name: str, *shape: int | str | None, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def model_of(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], *constants: Any) -> bytes:
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(constants))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def weighed(columns: int, kind: int = FLOAT, rows: int | str | None = "n") -> bytes:
    weights = helper.make_tensor("w", kind, [2, columns], list(range(2 * columns)))
    return model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", rows, 2, kind=kind)],
        [value("y", rows, columns, kind=kind)],
        weights,
    )


def scaled(factor: Any) -> bytes:
    """The sum of two numbers, times an input that the model has besides."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["sum"]),
        helper.make_node("Mul", ["sum", factor.name], ["y"]),
    ]
    weights = helper.make_tensor("w", FLOAT, [2, 1], [1.0, 1.0])
    return model_of(nodes, [value("x", None, 2), factor], [value("y", None, 1)], weights)


def classifier(labels: Sequence[Any], zip_map: bool) -> bytes:
    text = isinstance(labels[0], str)
    kind = TEXT if text else WHOLE
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["x"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            coefficients=[1.0, 0.0, 0.0, 1.0, 0.5, 0.5],
            intercepts=[0.0, 0.0, 0.0],
            **cast("Any", {"classlabels_strings" if text else "classlabels_ints": list(labels)}),
        )
    ]
    outputs = [value("label", None, kind=kind)]
    if zip_map:
        keys: Any = {"classlabels_strings" if text else "classlabels_int64s": list(labels)}
        nodes.append(helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", **keys))
        outputs.append(zipped("maps", kind))
    else:
        outputs.append(value("scores", None, 3))
    return model_of(nodes, [value("x", None, 2)], outputs)


def zipped(name: str, kind: int = WHOLE) -> Any:
    """The description of an output of ZipMap, with keys of this kind."""
    of_floats = helper.make_tensor_type_proto(FLOAT, [])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(kind, of_floats))
    return helper.make_value_info(name, maps)


def external() -> bytes:
    weights = helper.make_tensor("w", FLOAT, [2, 1], np.zeros(2, np.float32).tobytes(), raw=True)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return model_of(nodes, [value("x", None, 2)], [value("y", None, 1)], weights)


def of_categories(**fields: Sequence[str] | Sequence[int]) -> bytes:
    """A model that knows these categories of each field, and fails for others.

    The first category of the first field counts 1, that of the second 10, and so on; the value is the sum.
    """
    nodes, inputs, factors = [], [], []
    for place, (name, categories) in enumerate(fields.items()):
        is_text = isinstance(categories[0], str)
        inputs.append(value(name, None, 1, kind=TEXT if is_text else WHOLE))
        known: Any = {"cats_strings" if is_text else "cats_int64s": list(categories)}
        nodes += [
            helper.make_node(
                "OneHotEncoder", [name], [f"{name} cube"], f"of {name}", domain="ai.onnx.ml", zeros=0, **known
            ),
            helper.make_node("Flatten", [f"{name} cube"], [f"{name} columns"]),
        ]
        factors += [10.0**place] + [0.0] * (len(categories) - 1)
    nodes += [
        helper.make_node("Concat", [f"{name} columns" for name in fields], ["columns"], axis=1),
        helper.make_node("MatMul", ["columns", "factors"], ["y"]),
    ]
    constant = helper.make_tensor("factors", FLOAT, [len(factors), 1], factors)
    return model_of(nodes, inputs, [value("y", None, 1)], constant)
