"""Frozen TensorFlow graphs: a serialized GraphDef whose weights are constants.

Which placeholders are the inputs and which operations give the results is found out in ``ends``. Only what
these results are computed from is imported. Tables are filled from the constants that the graph has for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import rejecting
from model_serving.engines.limits import Limits
from model_serving.engines.tensorflow.ends import output_tensors, placeholders, terminals
from model_serving.engines.tensorflow.leftovers import take_out_leftovers
from model_serving.engines.tensorflow.model import GraphModel, model_in_session
from model_serving.engines.tensorflow.ops import (
    CHECKPOINT_READS,
    CHECKPOINT_WRITES,
    refuse_reaching_out,
    refuse_within_reach,
)
from model_serving.engines.tensorflow.reach import data_inputs, node_name, nodes_within_reach, within_reach
from model_serving.engines.tensorflow.session import (
    close_session,
    import_graph,
    import_tensorflow,
    open_session,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_serving.core.engine import LoadedModel, RecordSchema
    from model_serving.core.messages import ModelToServe

__all__ = ["TensorFlowGraphEngine"]

_FILLS = frozenset({"InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2"})


class TensorFlowGraphEngine:
    """Loads frozen graphs. Their size is that of the message or the location, so no limit is left."""

    def __init__(self, limits: Limits) -> None:
        """See ``registry.EngineSpec``."""

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``. The first load in a process imports TensorFlow, which takes some seconds."""
        with rejecting("the frozen graph cannot be loaded"):
            return self._load(model, schema)

    @staticmethod
    def _load(model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        with rejecting("TensorFlow cannot be used"):
            tf = import_tensorflow()
        graph = _parse(tf, model.content)
        take_out_leftovers(graph)
        ends = terminals(graph, model.result_output)
        fillings = _fillings(graph, ends)
        part = within_reach(graph, [*ends, *fillings])
        refuse_reaching_out(part)
        refuse_within_reach(part, [node.name for node in part.node], CHECKPOINT_READS | CHECKPOINT_WRITES)
        session = open_session(tf)
        try:
            with rejecting("TensorFlow cannot load the graph"):
                import_graph(tf, session, part)
                operations = [session.graph.get_operation_by_name(node.name) for node in part.node]
            inputs = placeholders(operations, schema)
            outputs = output_tensors(session.graph, graph, ends, model.result_output)
            with rejecting("TensorFlow cannot run the graph"):
                session.run([session.graph.get_operation_by_name(name) for name in fillings])
                found = GraphModel(session, part, inputs, outputs, (), "TensorFlow frozen graph")
                return model_in_session(tf, found, model, schema)
        except BaseException:
            close_session(session)
            raise


def _parse(tf: Any, content: bytes) -> Any:
    definition = tf.compat.v1.GraphDef()
    with rejecting("not a TensorFlow GraphDef"):
        definition.ParseFromString(content)
    # Many byte strings can be parsed as a message of unknown fields.
    if not definition.node:
        raise ModelRejected("not a TensorFlow GraphDef: it has no operations (is it of another kind?)")
    return definition


def _fillings(graph: Any, ends: Sequence[str]) -> list[str]:
    """Returns the operations that fill the tables that are looked into while the graph serves."""
    serving = {node.name for node in nodes_within_reach(graph, ends)}
    return [
        node.name
        for node in graph.node
        if node.op in _FILLS and any(node_name(source) in serving for source in data_inputs(node)[:1])
    ]
