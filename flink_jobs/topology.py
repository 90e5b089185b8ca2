"""Connects the operators of both variants: takes the input streams and returns the output streams."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream, OutputTag
from pyflink.java_gateway import get_gateway

from flink_jobs.restore import named_with_schema
from functions.admission import ModelAdmission
from functions.broadcast import BroadcastModelServing
from functions.intake import RouteModels, RouteRecords
from functions.internals import java_stream
from functions.keyed import KeyedModelServing
from functions.swaps import KEYED, ConfirmSwaps, broadcast_reporters
from functions.types import (
    ACTIVATIONS,
    BYTES,
    DEAD_LETTERS,
    KEYED_ROWS,
    ROLLBACKS,
    STATUSES,
    SWAPS,
    UNMATCHED,
    broadcast_models,
    data_type_of,
)
from model_serving.settings import ServingSettings

__all__ = ["Served", "serve_broadcast", "serve_keyed", "with_timers"]

_STRING = Types.STRING()

_ADMIT, _SERVE_KEYED, _WAIT = "admit-models", "serve-keyed", "wait-for-model"
"""Uids of the operators with timers that must not be lost; of the last two only in bounded runs."""


@dataclass(frozen=True, slots=True)
class Served:
    """The output streams of a variant: messages for Kafka."""

    results: DataStream
    dead_letters: DataStream
    statuses: DataStream
    rollbacks: DataStream
    """Messages for the models topic."""


@dataclass(frozen=True, slots=True)
class _Admitted:
    """The output streams of admission: activations, dead letters of rejected models, and statuses."""

    activations: DataStream
    dead_letters: DataStream
    statuses: DataStream


def with_timers(bounded: bool) -> frozenset[str]:
    """The uids of the operators that register timers, for both variants."""
    return frozenset({_ADMIT, _SERVE_KEYED, _WAIT} if bounded else {_ADMIT})


def serve_keyed(models: DataStream, records: DataStream, settings: ServingSettings) -> Served:
    """Sends models and records to instances by data type: one instance serves each data type, in order."""
    admitted = _admit(models, settings)
    routed = records.process(RouteRecords(settings), KEYED_ROWS).name("route records").uid("route-records")
    served = (
        _by_data_type(admitted.activations, "activations-by-data-type")
        .connect(_keyed(routed))
        .process(KeyedModelServing(settings), BYTES)
        .name("serve")
        .uid(_SERVE_KEYED)
    )
    return Served(
        results=served,
        dead_letters=admitted.dead_letters.union(
            _side_output(routed, DEAD_LETTERS), _side_output(served, DEAD_LETTERS)
        ),
        statuses=admitted.statuses.union(_confirm(_side_output(served, SWAPS), [KEYED])),
        rollbacks=_side_output(served, ROLLBACKS),
    )


def serve_broadcast(
    models: DataStream, records: DataStream, settings: ServingSettings, parallelism: int
) -> Served:
    """Sends models to every instance and records to any; records without a model wait in the keyed operator.

    The keyed operator takes every activation too. So each waiting record is scored once, whether the record
    or its model reaches that operator first.
    """
    admitted = _admit(models, settings)
    served = (
        records.rebalance()
        .connect(admitted.activations.broadcast(broadcast_models()))
        .process(BroadcastModelServing(settings), BYTES)
        .name("serve")
        .uid("serve-broadcast")
    )
    waited = (
        _by_data_type(admitted.activations, "activations-by-data-type")
        .connect(_keyed(_side_output(served, UNMATCHED)))
        .process(KeyedModelServing(settings, "wait"), BYTES)
        .name("wait for a model")
        .uid(_WAIT)
    )
    swaps = _side_output(served, SWAPS).union(_side_output(waited, SWAPS))
    return Served(
        results=served.union(waited),
        dead_letters=admitted.dead_letters.union(
            _side_output(served, DEAD_LETTERS), _side_output(waited, DEAD_LETTERS)
        ),
        statuses=admitted.statuses.union(_confirm(swaps, broadcast_reporters(parallelism))),
        rollbacks=_side_output(served, ROLLBACKS).union(_side_output(waited, ROLLBACKS)),
    )


def _admit(models: DataStream, settings: ServingSettings) -> _Admitted:
    routed = (
        models.process(RouteModels(settings), KEYED_ROWS)
        .set_parallelism(1)
        .name("route models")
        .uid("route-models")
    )
    admitted = _keyed(routed).process(ModelAdmission(settings), BYTES).name("admit models").uid(_ADMIT)
    return _Admitted(
        activations=_side_output(admitted, ACTIVATIONS),
        dead_letters=_side_output(routed, DEAD_LETTERS).union(_side_output(admitted, DEAD_LETTERS)),
        statuses=_side_output(routed, STATUSES).union(admitted),
    )


def _keyed(rows: DataStream) -> KeyedStream:
    """Rows keyed by their data type, which is the first field of each.

    ``DataStream.key_by`` would add a Python operator in between, to fetch the key: one more trip from the
    JVM for each row, and what it carries would be pickled and unpickled once more. The rows that it makes are
    the same as the rows that arrive here.
    """
    by_first_field = get_gateway().jvm.KeyByKeySelector()
    keyed = java_stream(rows).keyBy(by_first_field, Types.ROW([_STRING]).get_java_type_info())
    return KeyedStream(keyed, Types.PICKLED_BYTE_ARRAY(), rows)


def _by_data_type(stream: DataStream, uid: str) -> KeyedStream:
    """A stream keyed by data type. Sets the uid of the operator that PyFlink adds to fetch the key."""
    keyed = stream.key_by(data_type_of, _STRING)
    java_stream(keyed).getTransformation().getInputs().get(0).setUid(uid)
    return keyed


def _confirm(swaps: DataStream, reporters: Collection[str]) -> DataStream:
    return (
        _by_data_type(swaps, "swaps-by-data-type")
        .process(ConfirmSwaps(reporters), BYTES)
        .name(named_with_schema("confirm swaps"))
        .uid("confirm-swaps")
    )


def _side_output(stream: DataStream, tag: OutputTag) -> DataStream:
    """A side output, in a task of its own.

    PyFlink puts a Python operator behind each side output. In thread mode every Python operator brings an
    interpreter state of its own, but Python's C API for foreign threads (PyGILState_Ensure, which TensorFlow
    and ONNX Runtime call) knows one state per thread. If that operator were chained to an operator that
    scores, the thread would wait for itself.
    ``functions.process.check_interpreter_state`` checks at start that no two operators share a thread.
    """
    name = f"{stream.get_name()}: {tag.tag_id}"
    uid = name.replace(":", "").replace(" ", "-")
    return stream.get_side_output(tag).start_new_chain().name(name).uid(uid)
