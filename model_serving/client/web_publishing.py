"""Publishes what the query server is asked to publish, in the same way as the commands of the client."""

from __future__ import annotations

from typing import Any, TypeVar

from confluent_kafka import KafkaException

from model_serving.client.errors import ClientError
from model_serving.client.model_messages import (
    Content,
    Details,
    ModelToPublish,
    build_command,
    build_message,
    check_details,
)
from model_serving.client.publishing import send_message
from model_serving.core.messages import Command, ModelType, OutputRule
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.sending import Sender
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.query.errors import HttpError
from model_serving.query.ports import Deployment

__all__ = ["WebPublisher"]

_UPLOAD = "the upload"

_Kind = TypeVar("_Kind", ModelType, OutputRule)


class WebPublisher:
    """See ``query.ports.Publisher``. Messages are signed if there is a ``key``."""

    def __init__(self, kafka: KafkaAccess, topic: str, key: bytes | None) -> None:
        self._kafka = kafka
        self._topic = topic
        self._key = key

    def deploy(self, model: Deployment) -> dict[str, Any]:
        """See ``query.ports.Publisher``."""
        details = Details(
            model_type=_choice(ModelType, "model_type", model.model_type),
            version=model.version,
            description=model.description,
            inputs=tuple(name.strip() for name in model.inputs.split(",")) if model.inputs else (),
            output=_choice(OutputRule, "output", model.output) or OutputRule.AUTO,
            result_output=model.result_output,
            signature_name=model.signature_name,
        )
        if not all(details.inputs):
            raise HttpError(400, "inputs has an empty name: give names with commas between them")
        try:
            kind = check_details(model.file, details)
            description = model.description or f"{kind.name} model {model.name}, uploaded"
            message = build_message(
                ModelToPublish(model.file, model.name, description, details=details),
                data_type=model.data_type,
                content=Content.DATA,
            )
        except ClientError as error:
            # The sender does not know the file, and need not know where it is; flags are parameters here.
            said = str(error).replace(str(model.file), _UPLOAD)
            said = said.replace("--model-type", "model_type").replace("--signature-name", "signature_name")
            raise HttpError(400, said) from None
        self._send(message)
        return {
            "command": "DEPLOY",
            "dataType": message.dataType,
            "name": message.name,
            "version": message.version or message.sha256[:12],
            "modelType": int(message.modeltype),
            "sha256": message.sha256,
            "size": len(message.data),
            "signed": self._key is not None,
        }

    def command(self, command: Command, data_type: str) -> dict[str, Any]:
        """See ``query.ports.Publisher``."""
        self._send(build_command(command, data_type=data_type))
        return {"command": command.name, "dataType": data_type, "signed": self._key is not None}

    def _send(self, message: ModelDescriptor) -> None:
        try:
            with Sender(self._kafka, self._topic, compressed=True) as sender:
                send_message(sender, message, self._key)
        except MessagingError as error:
            raise HttpError(503, str(error), {"Retry-After": "5"}) from error
        except KafkaException as error:
            why = error.args[0].str()
            raise HttpError(503, f"Kafka refused ({why}): look at its log", {"Retry-After": "5"}) from error


def _choice(kinds: type[_Kind], field: str, text: str) -> _Kind | None:
    if not text:
        return None
    try:
        return kinds[text.upper()]
    except KeyError:
        known = ", ".join(kind.name for kind in kinds)
        raise HttpError(400, f"{field} is not one of {known}") from None
