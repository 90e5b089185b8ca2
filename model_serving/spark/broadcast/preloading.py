"""Loads coming models in a worker process, beside the thread that scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Thread

from model_serving.core.errors import ModelServingError
from model_serving.core.messages import ModelToServe
from model_serving.core.model_store import StoreFailed
from model_serving.core.pool import Lease
from model_serving.core.state import decode_activation
from model_serving.spark.broadcast.pointer import Pointer
from model_serving.spark.broadcast.presence import Presence, mark_of

__all__ = ["Preloading", "PreloadingThread"]

_LOOK_S = 0.1


class Preloading:
    """Keeps coming models loaded until the thread that scores has swapped to them.

    Only data types that the process serves already are looked after: for others, nothing is held up.
    """

    def __init__(
        self,
        pointer: Pointer,
        presence: Presence,
        lease: Callable[[ModelToServe], Lease],
        carried_out: Mapping[str, bytes],
    ) -> None:
        """``carried_out`` has the activation that the process has carried out last, for each data type."""
        self._pointer = pointer
        self._presence = presence
        self._lease = lease
        self._carried_out = carried_out
        # Activation → its lease; None: the model does not load here, which the desk will say.
        self._leases: dict[bytes, Lease | None] = {}

    def step(self) -> None:
        """Loads what is coming, lets go of what is there or does not come any more, and says so.

        Raises:
            StoreFailed: the pointer cannot be read, or the presence cannot be written.
            IncompatibleState: a newer version of this software wrote the pointer.
        """
        orders, coming = self._pointer.look(), self._pointer.coming
        # The other thread adds to it.
        carried_out = dict(self._carried_out)
        for data_type, order in coming.items():
            model = decode_activation(order).model
            if order not in self._leases and data_type in carried_out and model is not None:
                self._leases[order] = None
                with suppress(ModelServingError):
                    self._leases[order] = self._lease(model)
        needed = {*coming.values(), *orders.values()} - set(carried_out.values())
        for order in [one for one in self._leases if one not in needed]:
            lease = self._leases.pop(order)
            if lease is not None:
                lease.release()
        self._presence.say(
            [
                mark_of(order)
                for data_type, order in coming.items()
                if order in self._leases or data_type not in carried_out
            ]
        )


class PreloadingThread:
    """Looks ten times a second; ends with the process."""

    def __init__(self, step: Callable[[], None]) -> None:
        """Starts the thread."""
        self._step = step
        Thread(target=self._run, name="preloading", daemon=True).start()

    def _run(self) -> None:
        while True:
            # Without it the model is loaded where it is needed first, and a folder that cannot be read fails
            # the task.
            with suppress(ModelServingError, StoreFailed):
                self._step()
            time.sleep(_LOOK_S)
