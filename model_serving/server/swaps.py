"""Activations on their way from the state topic to the serving loop; models load beside the loop."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from model_serving.core.messages import ModelToServe
from model_serving.core.pool import Lease
from model_serving.core.state import decode_activation
from model_serving.server.entries import Key, Kind
from model_serving.server.mirror import Change, Mirror

__all__ = ["Swap", "SwapQueue"]


@dataclass(frozen=True, slots=True)
class Swap:
    """An activation whose model is loaded. Release the lease when the activation has been carried out."""

    order: bytes
    lease: Lease | None

    def done(self) -> None:
        """Gives the lease back."""
        if self.lease is not None:
            self.lease.release()


class SwapQueue(threading.Thread):
    """Loads the models of activations in the order of the state topic, then hands the activations over.

    A model that cannot be loaded is handed over too: the desk finds out again, and says so.
    """

    def __init__(self, mirror: Mirror, lease: Callable[[ModelToServe], Lease]) -> None:
        super().__init__(name="model-loads", daemon=True)
        self._mirror = mirror
        self._lease = lease
        self._orders: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._loaded: deque[Swap] = deque()
        # Each is written in one thread at a time: the first under the mirror's lock, the other in ``run``.
        self._added = 0
        self._handed_over = 0

    def follow(self) -> None:
        """Takes the activations that come from now on, and those that nobody has confirmed yet."""
        with self._mirror.changed:
            unconfirmed = sorted(
                self._mirror.keys(Kind.UNCONFIRMED), key=lambda key: (key.data_type, int(key.item))
            )
            for data_type in dict.fromkeys(key.data_type for key in unconfirmed):
                order = self._mirror.get(Key(Kind.ACTIVATION, data_type))
                if order is not None:
                    self._add(order)
            self._mirror.listen(self._changed)
        self.start()

    def next(self) -> Swap | None:
        """The next activation to carry out; None: there is none now."""
        try:
            return self._loaded.popleft()
        except IndexError:
            return None

    @property
    def is_idle(self) -> bool:
        """Whether every activation so far has been handed over."""
        return self._added == self._handed_over and not self._loaded

    def stop(self) -> None:
        """Ends the thread, which releases what it has loaded. A load that is under way is not waited for."""
        self._mirror.forget(self._changed)
        self._orders.put(None)

    def run(self) -> None:
        """Loads until ``stop`` is called."""
        while self.load_next():
            pass
        while (swap := self.next()) is not None:
            swap.done()

    def load_next(self) -> bool:
        """Waits for an activation, and loads its model. False: ``stop`` was called."""
        order = self._orders.get()
        if order is None:
            return False
        self._loaded.append(Swap(order, self._leased(order)))
        self._handed_over += 1
        return True

    def _leased(self, order: bytes) -> Lease | None:
        try:
            model = decode_activation(order).model
            return None if model is None else self._lease(model)
        except Exception:  # noqa: BLE001 - the desk meets it again, in the thread that reports failures
            return None

    def _changed(self, changes: list[Change]) -> None:
        for change in changes:
            if change.key.kind is Kind.ACTIVATION:
                order = change.value or self._mirror.get(change.key)
                if order is not None:
                    self._add(order)

    def _add(self, order: bytes) -> None:
        self._added += 1
        self._orders.put(order)
