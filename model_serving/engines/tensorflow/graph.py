"""Frozen TensorFlow graphs: a serialized GraphDef whose weights are constants.

The input is the only placeholder. The output is the only terminal operation: the operation that is computed
from the placeholder, and that no other operation takes data from or waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_serving.core.errors import ModelRejected
from model_serving.engines.foreign_errors import rejecting
from model_serving.engines.limits import Limits
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
    from collections.abc import Sequence

    from model_serving.core.engine import LoadedModel, RecordSchema
    from model_serving.core.messages import ModelToServe

__all__ = ["TensorFlowGraphEngine"]

_MOST_LISTED = 8


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
        definition = _parse(tf, model.content)
        refuse_reaching_out(definition)
        refuse_within_reach(
            definition, [node.name for node in definition.node], CHECKPOINT_READS | CHECKPOINT_WRITES
        )
        session = open_session(tf)
        try:
            with rejecting("TensorFlow cannot load the graph"):
                with session.graph.as_default():
                    tf.graph_util.import_graph_def(definition, name="")
                operations = session.graph.get_operations()
            source = _only_placeholder(operations)
            sink = _only_terminal(operations, source)
            with rejecting("TensorFlow cannot run the graph"):
                return model_in_session(
                    session, {source.name: source.outputs[0]}, {sink.name: sink.outputs[0]}, model, schema
                )
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


def _only_placeholder(operations: Sequence[Any]) -> Any:
    found = [operation for operation in operations if operation.type == "Placeholder"]
    if len(found) != 1:
        raise ModelRejected(
            f"a frozen graph must have one placeholder, but this one has {_listed(found)}: "
            "freeze it with one input, or send a SavedModel"
        )
    return found[0]


def _only_terminal(operations: Sequence[Any], source: Any) -> Any:
    # A group operation without outputs waits for others only to give them one name.
    awaited = {waited for operation in operations if operation.outputs for waited in operation.control_inputs}
    found = [
        operation
        for operation in _computed_from(source)
        if operation.outputs
        and operation not in awaited
        and not any(output.consumers() for output in operation.outputs)
    ]
    if len(found) != 1 or len(found[0].outputs) != 1:
        raise ModelRejected(
            "a frozen graph must have one terminal operation with one output, "
            f"but this one has {_listed(found)}: freeze it with one output"
        )
    return found[0]


def _computed_from(source: Any) -> list[Any]:
    computed = {source: None}
    pending = [source]
    while pending:
        for output in pending.pop().outputs:
            for consumer in output.consumers():
                if consumer not in computed:
                    computed[consumer] = None
                    pending.append(consumer)
    return list(computed)[1:]


def _listed(operations: Sequence[Any]) -> str:
    names = [f"{operation.name} ({operation.type})" for operation in operations]
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return f"{len(names)}: {', '.join(names[:_MOST_LISTED])}{more}" if names else "none"
