"""TensorFlow SavedModels, from a zip or tar of their folder.

All are loaded into a session, as in TensorFlow 1: a session loads the models of TensorFlow 1 (reference
variables, tag ``serve``, any signature) and also those of TensorFlow 2 and Keras. The signature is
``serving_default`` if there is one, else the only one. For several outputs see
``tensors.model.choose_result``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import rejecting
from model_serving.engines.limits import Limits
from model_serving.engines.tensorflow.archive import unpacked
from model_serving.engines.tensorflow.ops import (
    CHECKPOINT_READS,
    CHECKPOINT_WRITES,
    refuse_reaching_out,
    refuse_within_reach,
)
from model_serving.engines.tensorflow.session import (
    close_session,
    import_tensorflow,
    model_in_session,
    open_session,
)

if TYPE_CHECKING:
    from pathlib import Path

    from model_serving.core.engine import LoadedModel, RecordSchema
    from model_serving.core.messages import ModelToServe

__all__ = ["TensorFlowSavedEngine"]

_INITIALIZER = "__saved_model_init_op"
_INITIALIZER_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")


class TensorFlowSavedEngine:
    """Loads SavedModels, from archives within the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``. The first load in a process imports TensorFlow, which takes some seconds."""
        archive = unpacked(model.content, self._limits.unpacked_bytes)
        with rejecting("the SavedModel cannot be loaded"), archive as folder:
            with rejecting("TensorFlow cannot be used"):
                tf = import_tensorflow()
            meta_graph = _serving_graph(folder)
            signature = _serving_signature(meta_graph)
            _refuse_unsafe(meta_graph, signature)
            session = open_session(tf)
            try:
                with rejecting("TensorFlow cannot load the SavedModel"):
                    tf.compat.v1.saved_model.loader.load(
                        session, list(meta_graph.meta_info_def.tags), str(folder)
                    )
                    inputs = _tensors(session.graph, signature.inputs)
                    outputs = _tensors(session.graph, signature.outputs)
                    return model_in_session(session, inputs, outputs, model, schema)
            except BaseException:
                close_session(session)
                raise


def _serving_graph(folder: Path) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    with rejecting("saved_model.pb is not a SavedModel"):
        saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    tags = [sorted(graph.meta_info_def.tags) for graph in saved.meta_graphs]
    # TensorFlow compares tags as sets. Compared otherwise, it might load a graph that is not checked here.
    serving = [
        graph for graph, of_graph in zip(saved.meta_graphs, tags, strict=True) if set(of_graph) == {"serve"}
    ]
    for found in (serving, saved.meta_graphs):
        if len(found) == 1:
            return found[0]
    raise ModelRejected(
        f"a SavedModel must have one graph with the tag 'serve', but this one has the tags {tags}"
    )


def _serving_signature(meta_graph: Any) -> Any:
    signatures = {
        name: signature
        for name, signature in meta_graph.signature_def.items()
        if name != _INITIALIZER and signature.outputs
    }
    if "serving_default" in signatures:
        return signatures["serving_default"]
    if len(signatures) != 1:
        raise ModelRejected(
            "a SavedModel must have the signature 'serving_default' or only one, "
            f"but this one has {', '.join(sorted(signatures)) or 'none'}"
        )
    return next(iter(signatures.values()))


def _refuse_unsafe(meta_graph: Any, signature: Any) -> None:
    graph = meta_graph.graph_def
    refuse_reaching_out(graph)
    serving = [tensor.name for tensor in signature.outputs.values()]
    if _INITIALIZER in meta_graph.signature_def:
        serving += [tensor.name for tensor in meta_graph.signature_def[_INITIALIZER].outputs.values()]
    for collection in _INITIALIZER_COLLECTIONS:
        serving += meta_graph.collection_def[collection].node_list.value
    refuse_within_reach(graph, serving, CHECKPOINT_READS | CHECKPOINT_WRITES)
    refuse_within_reach(graph, [meta_graph.saver_def.restore_op_name], CHECKPOINT_WRITES)


def _tensors(graph: Any, infos: Any) -> dict[str, Any]:
    for name, info in infos.items():
        if info.WhichOneof("encoding") != "name":
            raise ModelRejected(
                f"the signature's '{name}' is a sparse or composite tensor: export dense ones"
            )
    return {name: graph.get_tensor_by_name(infos[name].name) for name in sorted(infos)}
