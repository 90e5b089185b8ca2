"""Which model serves, as the state topic tells."""

from __future__ import annotations

from model_serving.core.state import decode_activation, encode_model
from model_serving.server.entries import Key, Kind
from model_serving.server.mirror import Mirror

__all__ = ["ActiveInState"]


class ActiveInState:
    """See ``core.ports.ActiveModels``: the activations in the state topic say which model serves."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def get(self, data_type: str) -> bytes | None:
        """See ``core.ports.ActiveModels``."""
        order = self._mirror.get(Key(Kind.ACTIVATION, data_type))
        model = None if order is None else decode_activation(order).model
        return None if model is None else encode_model(model)

    def put(self, data_type: str, model: bytes) -> None:
        """The admitting member has written it already."""

    def remove(self, data_type: str) -> None:
        """The admitting member has written it already."""
