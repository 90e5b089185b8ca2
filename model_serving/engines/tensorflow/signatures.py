"""Which graph of a SavedModel serves, which of its signatures, and the order of the signature's inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import first_line, rejecting
from model_serving.engines.tensorflow.reach import called_functions, node_name

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "INITIALIZER",
    "dense_tensors",
    "input_order",
    "refuse_composite_inputs",
    "serving_graph",
    "serving_signature",
]

INITIALIZER = "__saved_model_init_op"
"""The signature by whose name TensorFlow 2 keeps the operation that fills the tables."""

_DEFAULT = "serving_default"
_MOST_LISTED = 20
_MAKE_DENSE = (
    "export the model with dense tensors, one row for each record (tf.sparse.to_dense, .to_tensor())"
)


def serving_graph(folder: Path) -> Any:
    """Returns the MetaGraphDef with the tag ``serve`` alone, or else the only one.

    Raises:
        ModelRejected: the file is damaged, or no graph or several could be meant.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    with rejecting("saved_model.pb is not a SavedModel"):
        saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    tags = [sorted(graph.meta_info_def.tags) for graph in saved.meta_graphs]
    serving = [
        graph for graph, of_graph in zip(saved.meta_graphs, tags, strict=True) if set(of_graph) == {"serve"}
    ]
    for found in (serving, saved.meta_graphs):
        if len(found) == 1:
            return found[0]
    raise ModelRejected(
        f"a SavedModel must have one graph with the tag 'serve', but this one has the tags {tags}"
    )


def serving_signature(meta_graph: Any, wanted: str) -> tuple[str, Any]:
    """Returns the name and the SignatureDef of ``wanted``, or of the usual signature if that is empty.

    The usual one is ``serving_default`` if there is one, else the only one.

    Raises:
        ModelRejected: the model does not have the signature; the text names those that it has.
    """
    signatures = {
        name: signature
        for name, signature in meta_graph.signature_def.items()
        if name != INITIALIZER and signature.outputs
    }
    names = sorted(signatures)
    listed = ", ".join(first_line(name) for name in names[:_MOST_LISTED])
    if wanted:
        if wanted not in signatures:
            raise ModelRejected(
                f"the SavedModel has no signature '{wanted}': set signature_name to one of {listed}"
                if names
                else f"the SavedModel has no signature '{wanted}', and no other: {_HOW_TO_EXPORT}"
            )
        return wanted, signatures[wanted]
    if _DEFAULT in signatures:
        return _DEFAULT, signatures[_DEFAULT]
    if not names:
        raise ModelRejected(f"the SavedModel has no signature to serve: {_HOW_TO_EXPORT}")
    if len(names) > 1:
        raise ModelRejected(
            "a SavedModel must have the signature 'serving_default' or only one, "
            f"but this one has {listed}: set signature_name to one of them"
        )
    return names[0], signatures[names[0]]


_HOW_TO_EXPORT = (
    "export it with model.export(folder) of Keras 3, or tf.saved_model.save(model, folder, signatures=...)"
)


def dense_tensors(graph: Any, infos: Any, what: str) -> dict[str, Any]:
    """Returns a signature's tensors by their short names, in alphabetical order.

    Args:
        graph: the graph that the model was imported into.
        infos: ``inputs`` or ``outputs`` of the SignatureDef.
        what: "input" or "output", for the text.

    Raises:
        ModelRejected: one is sparse or ragged; the text names it.
    """
    for name in sorted(infos):
        encoding = infos[name].WhichOneof("encoding")
        if encoding != "name":
            kind = "sparse" if encoding == "coo_sparse" else "sparse or ragged"
            raise ModelRejected(
                f"the signature's {what} '{first_line(name)}' is a {kind} tensor: {_MAKE_DENSE}"
            )
    return {name: graph.get_tensor_by_name(infos[name].name) for name in sorted(infos)}


def refuse_composite_inputs(meta_graph: Any, signature: Any) -> None:
    """Refuses a signature whose function takes a sparse or ragged tensor.

    TensorFlow 2 writes the parts of such a tensor as inputs of their own: ``x``, ``x_1``, ``x_2``.

    Raises:
        ModelRejected: there is such an input; the text names the signature's inputs.
    """
    graph, concrete = meta_graph.graph_def, meta_graph.object_graph_def.concrete_functions
    ends = {node_name(tensor.name) for tensor in signature.outputs.values()}
    wrappers = {name for node in graph.node if node.name in ends for name in called_functions(node)}
    called = set(wrappers)
    for function in graph.library.function:
        if function.signature.name in wrappers:
            called |= {name for node in function.node_def for name in called_functions(node)}
    for name in sorted(called & concrete.keys()):
        if kind := _composite(concrete[name].canonicalized_input_signature):
            raise ModelRejected(
                f"the signature takes a {kind} tensor, whose parts are its inputs "
                f"{', '.join(map(first_line, sorted(signature.inputs)))}: {_MAKE_DENSE}"
            )


def _composite(value: Any) -> str:
    """Returns "sparse" or "ragged" if a structure has such a tensor, else nothing."""
    kind = value.WhichOneof("kind")
    if kind == "type_spec_value":
        name = value.type_spec_value.type_spec_class_name
        return next((word for word in ("sparse", "ragged") if word in name.casefold()), "")
    items: Any = ()
    if kind in {"tuple_value", "list_value"}:
        items = getattr(value, kind).values
    elif kind == "dict_value":
        items = value.dict_value.fields.values()
    return next((found for item in items if (found := _composite(item))), "")


def input_order(meta_graph: Any, names: frozenset[str]) -> tuple[str, ...]:
    """Returns the inputs ``names`` in the order in which the model's Python function takes them.

    A signature sorts its inputs by name, and so does a function that takes a dictionary. A function that
    takes a list, or one argument for each input, keeps their order: TensorFlow 2 stores it beside the graph.
    Empty if the model does not have the function, or if two differ.
    """
    orders = set()
    for function in meta_graph.object_graph_def.concrete_functions.values():
        found = _specified(function.canonicalized_input_signature)
        if found is not None and len(found) == len(names) and frozenset(found) == names:
            orders.add(found)
    return orders.pop() if len(orders) == 1 else ()


def _specified(value: Any) -> tuple[str, ...] | None:
    """Returns the names of the tensors in a structure, in order; None when a dictionary holds some."""
    kind = value.WhichOneof("kind")
    if kind == "tensor_spec_value":
        return (value.tensor_spec_value.name,)
    if kind == "dict_value":
        inner = [_specified(field) for field in value.dict_value.fields.values()]
        return () if all(part == () for part in inner) else None
    if kind not in {"tuple_value", "list_value"}:
        return ()
    found: tuple[str, ...] = ()
    for item in getattr(value, kind).values:
        part = _specified(item)
        if part is None:
            return None
        found += part
    return found
