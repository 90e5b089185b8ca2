"""Records that a task cannot score: it leaves them in files, and the driver takes them from there.

A query without state can hold no records. So records without a model, and those whose model server is out of
reach, go to the driver, which has the core's desk and keeps what waits in its state.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from model_serving.core.batches import UNKNOWN_ORIGIN, RecordBatch
from model_serving.core.state import encode_payloads
from model_serving.stores.folders import Folder

__all__ = ["Handover"]

_FOLDER = "handed-over"


class Handover:
    """Files of records, each of one chunk of a task; a data type's records are in their order."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def leave(self, batches: Sequence[RecordBatch]) -> None:
        """Leaves the records of a chunk for the driver, in one file however many data types they have.

        A task that is repeated leaves them again.

        Raises:
            StoreFailed: the file cannot be written.
        """
        payloads: list[bytes] = []
        origins: list[int] = []
        for batch in batches:
            payloads += batch.payloads
            known = [UNKNOWN_ORIGIN] * len(batch) if batch.origins is None else batch.origins.tolist()
            origins += known
        first = max(0, min(origins))
        self._folder.write(f"{_FOLDER}/{first:020d}-{uuid4().hex}", encode_payloads(payloads, origins))

    def names(self) -> list[str]:
        """The files that have been left, by partition and offset of their first records.

        Raises:
            StoreFailed: the folder cannot be read.
        """
        return self._folder.names(_FOLDER)

    def read(self, name: str) -> bytes:
        """The records in a file, as ``core.state.encode_payloads`` encodes them.

        Raises:
            FileNotFoundError: the file is gone.
            StoreFailed: the file cannot be read.
        """
        content = self._folder.read(f"{_FOLDER}/{name}")
        if content is None:
            raise FileNotFoundError(name)
        return content

    def drop(self, name: str) -> None:
        """Deletes a file whose records are in the driver's state, or have been served."""
        self._folder.delete(f"{_FOLDER}/{name}")
