"""TensorFlow SavedModels, from a zip or tar of their folder.

All are loaded into a session, as in TensorFlow 1: a session serves the models of TensorFlow 1 (reference
variables, tag ``serve``, any signature) and also those of TensorFlow 2 and Keras, and it takes a tenth of
the time of a TensorFlow 2 function. Only what is within reach of the signature, of the operations that fill
the tables and of the one that restores the variables is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_serving.engines.foreign_errors import rejecting
from model_serving.engines.limits import Limits
from model_serving.engines.tensorflow.archive import unpacked
from model_serving.engines.tensorflow.leftovers import take_out_leftovers
from model_serving.engines.tensorflow.model import GraphModel, model_in_session
from model_serving.engines.tensorflow.ops import (
    CHECKPOINT_READS,
    CHECKPOINT_WRITES,
    TABLE_FILES,
    refuse_foreign_checkpoints,
    refuse_foreign_files,
    refuse_reaching_out,
    refuse_within_reach,
)
from model_serving.engines.tensorflow.reach import node_name, within_reach
from model_serving.engines.tensorflow.restoring import asset_files, initializers, restore
from model_serving.engines.tensorflow.session import (
    close_session,
    import_graph,
    import_tensorflow,
    open_session,
)
from model_serving.engines.tensorflow.signatures import (
    dense_tensors,
    input_order,
    refuse_composite_inputs,
    serving_graph,
    serving_signature,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model_serving.core.engine import LoadedModel, RecordSchema
    from model_serving.core.messages import ModelToServe

__all__ = ["TensorFlowSavedEngine"]


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
            meta_graph = serving_graph(folder)
            name, signature = serving_signature(meta_graph, model.signature_name)
            refuse_composite_inputs(meta_graph, signature)
            assets = asset_files(meta_graph, folder)
            part = _serving_part(meta_graph, signature, assets)
            session = open_session(tf)
            try:
                with rejecting("TensorFlow cannot load the SavedModel"):
                    import_graph(tf, session, part, meta_graph.meta_info_def.stripped_op_list)
                    inputs = dense_tensors(session.graph, signature.inputs, "input")
                    outputs = dense_tensors(session.graph, signature.outputs, "output")
                    restore(tf, session, meta_graph, part, folder, assets)
                    order = input_order(meta_graph, frozenset(inputs))
                    kind = f"TensorFlow SavedModel, signature {name}"
                    found = GraphModel(session, part, inputs, outputs, order, kind)
                    return model_in_session(tf, found, model, schema)
            except BaseException:
                close_session(session)
                raise


def _serving_part(meta_graph: Any, signature: Any, assets: Mapping[str, str]) -> Any:
    """Returns what is imported of the graph.

    Raises:
        ModelRejected: something in it does more than compute.
    """
    graph = meta_graph.graph_def
    take_out_leftovers(graph)
    serving = [tensor.name for tensor in (*signature.outputs.values(), *signature.inputs.values())]
    filling = initializers(meta_graph)
    restoring = [meta_graph.saver_def.restore_op_name, meta_graph.saver_def.filename_tensor_name]
    part = within_reach(graph, [*serving, *filling, *restoring])
    refuse_reaching_out(part, tables=True)
    refuse_within_reach(part, serving, CHECKPOINT_READS | CHECKPOINT_WRITES | TABLE_FILES)
    refuse_within_reach(part, filling, CHECKPOINT_READS | CHECKPOINT_WRITES)
    refuse_within_reach(part, restoring, CHECKPOINT_WRITES | TABLE_FILES)
    refuse_foreign_files(part, assets)
    refuse_foreign_checkpoints(part, node_name(meta_graph.saver_def.filename_tensor_name))
    return part
