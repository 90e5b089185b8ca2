"""The versions of one data type, as values over the bytes that a host keeps."""

from __future__ import annotations

from model_serving.core.messages import ModelToServe
from model_serving.core.ports import KeptModels
from model_serving.core.state import History, decode_history, decode_model, encode_history, encode_model

__all__ = ["KeptVersions"]


class KeptVersions:
    """What is remembered of one data type: its history, and the contents of the versions in it."""

    def __init__(self, port: KeptModels, data_type: str) -> None:
        self._port = port
        self._data_type = data_type

    def history(self) -> History:
        """The history; an empty one when nothing was saved.

        Raises:
            IncompatibleState: a newer version of this software wrote it.
        """
        return decode_history(self._port.history(self._data_type))

    def save_history(self, history: History) -> None:
        """Keeps the history in place of the one before."""
        self._port.save_history(self._data_type, encode_history(history))

    def model(self, version: str) -> ModelToServe:
        """A version that is in the history.

        Raises:
            IncompatibleState: a newer version of this software wrote it.
        """
        return decode_model(self._port.model(self._data_type, version))

    def save_model(self, model: ModelToServe) -> None:
        """Keeps a model under its version."""
        self._port.save_model(self._data_type, model.version, encode_model(model))

    def drop_model(self, version: str) -> None:
        """Forgets a version's model."""
        self._port.drop_model(self._data_type, version)
