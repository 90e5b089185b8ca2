"""The first check of a message of the models topic: its format, its signature and its data type."""

from __future__ import annotations

from collections.abc import Sequence

from model_serving.core.admission.rejections import Rejections
from model_serving.core.admission.signing import check_signature
from model_serving.core.channels import Emitted
from model_serving.core.errors import ModelRejected, UnparsableMessage
from model_serving.core.ports import ModelMessageReader

__all__ = ["ModelGate"]


class ModelGate:
    """Routes model messages to their data type, or rejects them."""

    def __init__(self, reader: ModelMessageReader, rejections: Rejections, keys: Sequence[bytes]) -> None:
        """A message must be signed with one of the ``keys``; without keys, it need not be signed."""
        self._reader = reader
        self._rejections = rejections
        self._keys = keys

    def route(self, payload: bytes) -> str | Emitted:
        """The data type that the message is for; or, for a rejected message, its dead letter and status."""
        try:
            envelope = self._reader.open(payload).envelope
            if self._keys:
                check_signature(self._reader.unframed(payload), self._keys)
                # The signature covers a content at a location only through its digest.
                if envelope.by_location and not envelope.sha256:
                    raise ModelRejected(
                        "a signed message with a location needs the SHA-256 of the model there: set sha256, "
                        "or send data"
                    )
            if not envelope.data_type:
                raise ModelRejected("the model message has no dataType: say which records the model scores")
        except (UnparsableMessage, ModelRejected) as error:
            return self._rejections.of(error, payload)
        return envelope.data_type
