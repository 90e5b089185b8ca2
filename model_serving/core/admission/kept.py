"""The versions of one data type as values, which a host keeps as bytes."""

from __future__ import annotations

from model_serving.core.messages import ModelToServe
from model_serving.core.ports import KeptModels
from model_serving.core.state import (
    History,
    decode_history,
    decode_model,
    encode_history,
    encode_model,
    model_key,
)

__all__ = ["KeptVersions"]


class KeptVersions:
    """The history of one data type, and the models of the versions in it."""

    def __init__(self, port: KeptModels, data_type: str) -> None:
        self._port = port
        self._data_type = data_type

    def history(self) -> History:
        """The history; empty if none was saved.

        Raises:
            IncompatibleState: a newer version of this software wrote it.
        """
        return decode_history(self._port.history(self._data_type))

    def save_history(self, history: History) -> None:
        """Replaces the history."""
        self._port.save_history(self._data_type, encode_history(history))

    def model(self, key: str) -> ModelToServe:
        """The model of a version that is in the history, by the version's key.

        Raises:
            IncompatibleState: a newer version of this software wrote it.
        """
        return decode_model(self._port.model(self._data_type, key))

    def save_model(self, model: ModelToServe) -> None:
        """Saves a model under its key."""
        self._port.save_model(self._data_type, model_key(model), encode_model(model))

    def drop_model(self, key: str) -> None:
        """Removes the model of a version, by the version's key."""
        self._port.drop_model(self._data_type, key)
