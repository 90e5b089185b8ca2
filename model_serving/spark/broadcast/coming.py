"""Activations that worker processes get ready for, before they are in force."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from model_serving.core.clock import Clock
from model_serving.core.state import decode_activation
from model_serving.spark.broadcast.driver_state import DriverState, Key, Kind
from model_serving.spark.broadcast.presence import Workers

__all__ = ["Coming"]

_PREPARE_MS = 30_000
"""How long worker processes may take to load a model that serves next."""


class Coming:
    """The activations of each data type, in their order. A restart finds them in the driver's state."""

    def __init__(self, state: DriverState, workers: Workers, clock: Clock) -> None:
        self._state = state
        self._workers = workers
        self._clock = clock
        # Data type → its activations, and until when each waits for worker processes.
        self._orders: dict[str, deque[tuple[bytes, int]]] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._orders)

    def __contains__(self, data_type: str) -> bool:
        """Whether there is one of the data type."""
        return data_type in self._orders

    def restore(self) -> None:
        """Goes on with those of the state, which nobody waits for any more.

        Raises:
            StoreFailed: the folder of the state cannot be read.
        """
        self._workers.forget()
        for key in sorted(self._state.keys(Kind.COMING)):
            order = self._state.get(key)
            if order is not None:
                self._orders.setdefault(key.data_type, deque()).append((order, 0))

    def add(self, data_type: str, order: bytes) -> bool:
        """Adds an activation; False: it may be carried out now, so it is not added."""
        if data_type not in self._orders and self._is_ready(order):
            return False
        until_ms = self._clock.epoch_ms() + _PREPARE_MS
        self._orders.setdefault(data_type, deque()).append((order, until_ms))
        self._state.put(_key(data_type, order), order)
        return True

    def take(self) -> Iterator[tuple[str, bytes]]:
        """Removes and gives those that may be carried out now.

        Of several of a data type only the last one is prepared: those before it would serve for moments only.
        """
        for data_type, orders in list(self._orders.items()):
            while orders:
                order, until_ms = orders[0]
                if len(orders) == 1 and self._clock.epoch_ms() < until_ms and not self._is_ready(order):
                    break
                orders.popleft()
                self._state.delete(_key(data_type, order))
                yield data_type, order
            if not orders:
                del self._orders[data_type]

    def newest(self) -> dict[str, bytes]:
        """Data type → the activation that worker processes shall get ready for."""
        return {data_type: orders[-1][0] for data_type, orders in self._orders.items()}

    def _is_ready(self, order: bytes) -> bool:
        return decode_activation(order).model is None or self._workers.are_ready(order)


def _key(data_type: str, order: bytes) -> Key:
    return Key(Kind.COMING, data_type, f"{decode_activation(order).sequence:020d}")
