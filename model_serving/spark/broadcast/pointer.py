"""The pointer: one small file that says which model serves each data type; every task looks at it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from model_serving.core.errors import IncompatibleState
from model_serving.stores.folders import Folder

__all__ = ["Pointer"]

_NAME = "pointer.json"
_SCHEMA_VERSION = 1


class Pointer:
    """The activations in force: data type → the encoded activation that was carried out last.

    ``coming`` are activations that will be in force soon. The driver publishes, each worker process looks.
    The file is small, because contents of models are in the model store.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._stamp: object = None
        self._orders: Mapping[str, bytes] = {}
        self.coming: Mapping[str, bytes] = {}

    def publish(self, orders: Mapping[str, bytes], coming: Mapping[str, bytes]) -> None:
        """Replaces the pointer in one step. Whoever looks afterwards sees these activations.

        Raises:
            StoreFailed: the file cannot be written.
        """
        content = {"schema": _SCHEMA_VERSION, "orders": _texts(orders), "coming": _texts(coming)}
        self._folder.write(_NAME, json.dumps(content).encode())

    def look(self) -> Mapping[str, bytes]:
        """The activations now; the same object as before while they are the same.

        Where the file is missing for a moment, what was seen last holds.

        Raises:
            StoreFailed: the file cannot be read.
            IncompatibleState: a newer version of this software wrote it.
        """
        # The stamp is taken before the content: a file that is replaced in between is read again.
        stamp = self._folder.stamp(_NAME)
        if stamp is None or stamp == self._stamp:
            return self._orders
        content = self._folder.read(_NAME)
        if content is None:
            return self._orders
        found = json.loads(content)
        if found["schema"] > _SCHEMA_VERSION:
            raise IncompatibleState("the pointer to the models", found["schema"], _SCHEMA_VERSION)
        orders, self.coming = _bytes(found["orders"]), _bytes(found.get("coming", {}))
        # What is in force may be the same, while something else is coming.
        self._orders = self._orders if orders == self._orders else orders
        self._stamp = stamp
        return self._orders

    @property
    def is_cheap(self) -> bool:
        """Whether looking takes microseconds while nothing has changed."""
        return self._folder.is_local


def _texts(orders: Mapping[str, bytes]) -> dict[str, str]:
    return {data_type: base64.b64encode(order).decode() for data_type, order in orders.items()}


def _bytes(orders: Mapping[str, str]) -> dict[str, bytes]:
    return {data_type: base64.b64decode(text) for data_type, text in orders.items()}
