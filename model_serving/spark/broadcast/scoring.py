"""What a worker process does with the records of a task: it follows the pointer, scores, and gives rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from model_serving.core.batches import Decoded, Origins, RecordBatch
from model_serving.core.channels import Emitted
from model_serving.core.scoring.desk import ServingDesk
from model_serving.core.scoring.refusals import Refusals
from model_serving.core.scoring.waiting import WaitingPolicy
from model_serving.core.state import decode_activation
from model_serving.spark.broadcast.handover import Handover
from model_serving.spark.broadcast.pointer import Pointer
from model_serving.spark.outputs import Rows
from model_serving.wire import RecordCodec

__all__ = ["NothingRestored", "TaskScoring"]


class NothingRestored:
    """See ``core.ports.ActiveModels``: a worker process has no state; it carries activations out again."""

    def get(self, data_type: str) -> bytes | None:
        """No model."""
        return None

    def put(self, data_type: str, model: bytes) -> None:
        """Does nothing."""

    def remove(self, data_type: str) -> None:
        """Does nothing."""


class TaskScoring:
    """Scores the records of one task after the other, with the models that the pointer names.

    Call order: ``look`` when a task starts, ``score`` for each of its chunks. A model is loaded when its
    data type's first record comes to this process. From then on a new version is loaded as soon as the
    pointer names it, before the next records are scored: so a record that was sent after the driver had
    published a version, and with it its status ACTIVE, is never scored by the version before.
    """

    def __init__(
        self,
        pointer: Pointer,
        handover: Handover,
        desk: ServingDesk,
        codec: RecordCodec,
        refusals: Refusals,
        policy: WaitingPolicy,
        rows: Rows,
        loaded: Callable[[], None],
    ) -> None:
        """``desk`` keeps no waiting records; ``loaded`` is called after models were loaded."""
        self._pointer = pointer
        self._handover = handover
        self._desk = desk
        self._codec = codec
        self._refusals = refusals
        self._policy = policy
        self._rows = rows
        self._loaded = loaded
        self._orders: Mapping[str, bytes] = {}
        self.carried_out: dict[str, bytes] = {}
        """Data type → the activation that was carried out here last."""

    def look(self) -> None:
        """Follows the pointer: swaps the models that this process has, and forgets those that are removed.

        Raises:
            StoreFailed: the pointer cannot be read.
            ContentUnavailable: the content of a model is not available from the model store.
            IncompatibleState: a newer version of this software wrote the pointer.
        """
        orders = self._pointer.look()
        if orders is not self._orders:
            self._orders = orders
            self._carry_out([data_type for data_type in self.carried_out if data_type in orders])

    def score(self, payloads: Sequence[bytes], origins: Origins) -> Rows:
        """Scores n records of one partition, in their order; the rows are those that follow from them.

        Raises:
            StoreFailed: the pointer cannot be read, or records cannot be left for the driver.
            ContentUnavailable: the content of a model is not available from the model store.
            IncompatibleState: a newer version of this software wrote the pointer.
        """
        if self._pointer.is_cheap:
            self.look()
        decoded = self._codec.decode(payloads, origins)
        self._carry_out(batch.data_type for batch in decoded.batches)
        self._take(decoded)
        return self._rows

    def _take(self, decoded: Decoded) -> None:
        emitted = self._desk.take(decoded)
        # Those that may not wait get what the policy says; the driver has the others.
        left = [batch for batch in emitted.unmatched if not self._refuses(batch, emitted)]
        if left:
            self._handover.leave(left)
        self._rows.add(emitted)

    def _refuses(self, batch: RecordBatch, emitted: Emitted) -> bool:
        """Refuses or drops records that may not wait; False: they may."""
        data_type = batch.data_type
        if self._policy.keeps_all or self._desk.has_loaded([data_type]):
            return False
        error = self._policy.admit(data_type, batch.payloads, 0).error
        if error is None:
            emitted.counts.dropped += len(batch)
        else:
            for payload in batch.payloads:
                self._refusals.record(payload, data_type, error, emitted)
        return True

    def _carry_out(self, data_types: Iterable[str]) -> None:
        """Carries out the activations of these data types, unless it was done."""
        has_loaded = False
        for data_type in data_types:
            order = self._orders.get(data_type)
            if order is None or self.carried_out.get(data_type) == order:
                continue
            if decode_activation(order).model is not None or self._desk.has_loaded([data_type]):
                for emitted in self._desk.carry_out(order):
                    self._rows.add(emitted)
                has_loaded = True
            # Not before the desk has the model: then whoever has loaded it lets go of it.
            self.carried_out[data_type] = order
        if has_loaded:
            self._loaded()
