"""The first look at a message of the models topic: is it one, is it signed, whose is it."""

from __future__ import annotations

from collections.abc import Sequence

from model_serving.core.admission.rejections import Rejections
from model_serving.core.admission.signing import check_signature
from model_serving.core.channels import Emitted
from model_serving.core.errors import ModelRejected, UnparsableMessage
from model_serving.core.ports import ModelMessageReader

__all__ = ["ModelGate"]


class ModelGate:
    """Lets model messages through to their data type, or says why not."""

    def __init__(self, reader: ModelMessageReader, rejections: Rejections, keys: Sequence[bytes]) -> None:
        """A message must be signed with one of the ``keys``; where there are none, it need not be signed."""
        self._reader = reader
        self._rejections = rejections
        self._keys = keys

    def route(self, payload: bytes) -> str | Emitted:
        """The data type that the message is for; or what is given out because it is refused."""
        try:
            envelope = self._reader.open(payload).envelope
            if self._keys:
                check_signature(self._reader.unframed(payload), self._keys)
                # What lies at a location is under the signature by its digest only.
                if envelope.by_location and not envelope.sha256:
                    raise ModelRejected(
                        "a signed message with a location needs the SHA-256 of what lies there: set sha256, "
                        "or send data"
                    )
            if not envelope.data_type:
                raise ModelRejected("the model message has no dataType: say which records the model scores")
        except (UnparsableMessage, ModelRejected) as error:
            return self._rejections.of(error, payload)
        return envelope.data_type
