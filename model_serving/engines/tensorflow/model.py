"""Makes a model from the tensors of a session: what it takes, what it gives, and how it is run.

A run takes place in the thread that calls it (``inter_op_thread_pool = -1``), through a callable that the
session prepares once. It takes 16 µs for one small record, while ``Session.run`` takes 110 µs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_serving.core.engine import ModelDescription
from model_serving.core.errors import ScoringFailed
from model_serving.engines.foreign_errors import first_line, typed_line
from model_serving.engines.tensorflow.classes import labelled
from model_serving.engines.tensorflow.failures import Failures
from model_serving.engines.tensorflow.feeding import Feeding, feeding_of
from model_serving.engines.tensorflow.origins import Origins
from model_serving.engines.tensorflow.reach import node_name
from model_serving.engines.tensorflow.session import close_session
from model_serving.engines.tensorflow.tables import first_keys
from model_serving.engines.tensors.categories import row_of_categories
from model_serving.engines.tensors.model import CannotScore, Run, Tensor, make_model
from model_serving.engines.tensors.outputs import TensorOutput, results_among
from model_serving.engines.tensors.pairing import filled_note, plan_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model_serving.core.engine import LoadedModel, RecordSchema
    from model_serving.core.messages import ModelToServe

__all__ = ["GraphModel", "model_in_session"]


@dataclass(frozen=True, slots=True)
class GraphModel:
    """A model in a session.

    Args:
        session: holds the graph, its variables and tables filled.
        graph: the GraphDef that was imported.
        inputs: the tensors to feed, by their short names.
        outputs: the tensors to fetch, by their short names.
        order: the inputs in the order in which the model takes them; empty when it has no order.
        kind: what the model is, in words.
    """

    session: Any
    graph: Any
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    order: tuple[str, ...]
    kind: str


def model_in_session(tf: Any, found: GraphModel, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
    """Returns the model, once it has been tried.

    Raises:
        ModelRejected: inputs or outputs do not fit the record type or the message, or no record could be
            scored.
    """
    origins = Origins(found.graph)
    failures = Failures(found.graph)
    # The model must not keep ``found``, whose GraphDef has all weights once more.
    session = found.session
    feeding = feeding_of(found.inputs, found.order, origins, schema, model.inputs)
    readable = {name: tensor for name, tensor in found.outputs.items() if _is_readable(tensor)}
    described = {name: _output(name, tensor, origins) for name, tensor in readable.items()}
    results = results_among(described.values(), model.result_output)
    planned = plan_inputs(
        feeding.tensors,
        model.inputs,
        schema,
        ordered=feeding.ordered,
        needed=lambda: _needed(feeding, [readable[output.name] for output in results], origins),
    )
    notes = _notes(found.outputs, feeding)
    if planned.filled:
        notes += (filled_note(planned.filled),)
        without = set(planned.filled)
        described = {
            name: output
            for name, output in described.items()
            if not without & _needed(feeding, [readable[name]], origins)
        }

    def run(fetches: Sequence[Any]) -> Run:
        return _run_in(session, feeding, fetches, failures)

    outputs = labelled(
        tf,
        described,
        readable,
        origins,
        lambda fetches: run(fetches)(planned.feeds(planned.trial())),
    )
    fetched = [tensor for _, tensor in outputs]
    evaluator = f"TensorFlow {tf.__version__}"
    return make_model(
        lambda places: run([fetched[place] for place in places]),
        planned,
        [output for output, _ in outputs],
        model,
        lambda: close_session(session),
        ModelDescription(kind=found.kind, evaluator=evaluator, notes=notes),
        lambda run: row_of_categories(run, planned, first_keys(tf, session), failures.place),
    )


def _notes(outputs: Mapping[str, Any], feeding: Feeding) -> tuple[str, ...]:
    left_out = [first_line(name) for name, tensor in outputs.items() if not _is_readable(tensor)]
    notes = feeding.notes
    if left_out:
        notes += (f"Left out are the outputs that are neither numbers nor text: {', '.join(left_out)}.",)
    return notes


def _run_in(session: Any, feeding: Feeding, fetches: Sequence[Any], failures: Failures) -> Run:
    from tensorflow.core.protobuf import config_pb2

    # TensorFlow refuses to fetch what is fed, but an output may be an input as it came.
    computed = [tensor.name for tensor in fetches if tensor.name not in feeding.names]
    options = config_pb2.CallableOptions(feed=feeding.names, fetch=computed)
    options.run_options.inter_op_thread_pool = -1
    # The public make_callable does not take these options, and its runs take five times as long.
    call = session._make_callable_from_options(options)  # noqa: SLF001
    made = feeding.made

    def run(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        try:
            feeds = tensors if made is None else made(tensors)
            answer: Sequence[Tensor] = call(*feeds)
        except Exception as error:
            kind = CannotScore if failures.no_record_avoids(error) else ScoringFailed
            raise kind(f"TensorFlow failed: {typed_line(error)}") from error
        if len(computed) == len(fetches):
            return answer
        found = dict(zip(feeding.names, feeds, strict=True)) | dict(zip(computed, answer, strict=True))
        return [found[tensor.name] for tensor in fetches]

    return run


def _needed(feeding: Feeding, outputs: Sequence[Any], origins: Origins) -> set[str]:
    """Returns the names of the inputs that these tensors are computed from, all where it cannot be told."""
    behind: set[str] = set()
    for tensor in outputs:
        found = origins.inputs_behind(tensor.name)
        behind |= set(map(node_name, feeding.names)) if found is None else found
    return {
        tensor.name
        for tensor, place in zip(feeding.tensors, feeding.places, strict=True)
        if node_name(feeding.names[place]) in behind
    }


def _output(name: str, tensor: Any, origins: Origins) -> TensorOutput:
    columns = None
    if tensor.shape.rank == 1:
        columns = 1
    elif tensor.shape.rank == 2:
        columns = tensor.shape[1]
    return TensorOutput(
        name,
        columns,
        tensor.dtype.is_floating,
        tensor.dtype.name == "string",
        computed=origins.is_computed(tensor.name),
    )


def _is_readable(tensor: Any) -> bool:
    kind = tensor.dtype
    return bool(kind.is_floating or kind.is_integer or kind.is_bool or kind.name == "string")
