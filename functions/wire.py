"""Bytes from and to the topics: the one translator between protobuf messages and the core's values.

Total over the messages: what is unset, unknown or empty is decided here, not stumbled on later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from operator import attrgetter
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from functions.core.engine import Columns, RecordSchema
from functions.core.errors import InvalidRecord, ModelRejected, UnparsableMessage
from functions.core.messages import (
    Command,
    DataToServe,
    DeadLetter,
    Example,
    ModelMessage,
    ModelStatus,
    ModelType,
    OutputRule,
    ServingResult,
)
from protos.deadletter_pb2 import DeadLetter as DeadLetterMessage
from protos.modeldescriptor_pb2 import ModelDescriptor
from protos.modelstatus_pb2 import ModelStatus as ModelStatusMessage
from protos.servingresult_pb2 import ServingResult as ServingResultMessage

__all__ = [
    "RecordCodec",
    "encode_dead_letter",
    "encode_result",
    "encode_status",
    "model_data_type",
    "parse_descriptor",
    "read_model",
]

_DATA_TYPE = "dataType"
_TIMESTAMP = "ts"

_INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
_NUMBERS = _INTEGERS | {
    FieldDescriptor.CPPTYPE_DOUBLE,
    FieldDescriptor.CPPTYPE_FLOAT,
    FieldDescriptor.CPPTYPE_BOOL,
}


class RecordCodec:
    """Reads records of one protobuf message type, named ``module:Message``.

    The message has a string field ``dataType`` and may have an integer field ``ts``, the sender's clock in
    epoch milliseconds. Its other singular number and string fields are what models can take.

    Raises:
        ValueError: there is no such message, or it cannot be a record type; the text says why.
    """

    def __init__(self, record_type: str) -> None:
        self._message = _message_class(record_type)
        fields = {field.name: field for field in self._message.DESCRIPTOR.fields}
        if _DATA_TYPE not in fields or not _is_text(fields[_DATA_TYPE]):
            raise ValueError(f"the message {record_type} has no string field '{_DATA_TYPE}' to route by")
        self._has_timestamp = _TIMESTAMP in fields and _is_integer(fields[_TIMESTAMP])
        reserved = {_DATA_TYPE, _TIMESTAMP} if self._has_timestamp else {_DATA_TYPE}
        ordered = sorted(fields.values(), key=lambda field: field.number)
        features = [field for field in ordered if field.name not in reserved]
        self.schema = RecordSchema(
            name=self._message.DESCRIPTOR.name,
            numeric=tuple(field.name for field in features if _is_number(field)),
            text=tuple(field.name for field in features if _is_text(field)),
        )
        names = (*self.schema.numeric, *self.schema.text)
        if not names:
            raise ValueError(
                f"the message {record_type} has no number and no string field that a model could take"
            )
        self._features = _row_getter(names)
        self._getters: dict[tuple[str, ...], Callable[[Any], tuple[Any, ...]]] = {}

    def parse(self, payload: bytes) -> DataToServe:
        """A valid record.

        Raises:
            UnparsableMessage: the bytes are no message of the record type.
            InvalidRecord: the data type is empty, or no field that a model could take is set.
        """
        try:
            message = self._message.FromString(payload)
        except DecodeError as error:
            raise UnparsableMessage(self.schema.name, str(error) or "truncated or not protobuf") from None
        data_type = message.dataType
        if not data_type:
            raise InvalidRecord(f"the {self.schema.name} has no {_DATA_TYPE}")
        if not any(self._features(message)):
            raise InvalidRecord(f"the {self.schema.name} has none of its fields set")
        return DataToServe(data_type, message.ts if self._has_timestamp else 0, message, payload)

    def columns(self, messages: Sequence[Any], fields: tuple[str, ...]) -> Columns:
        """The fields of n parsed records as n × k: float64, or objects when a text field is among them."""
        getter = self._getters.get(fields)
        if getter is None:
            getter = self._getters[fields] = _row_getter(fields)
        rows = [getter(message) for message in messages]
        if any(field in self.schema.text for field in fields):
            # A column is all text or all float, whichever kind of number the message has.
            values = [value if isinstance(value, str) else float(value) for row in rows for value in row]
            return np.array(values, dtype=object).reshape(len(rows), len(fields))
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(fields))

    def example(self, payload: bytes, fields: tuple[str, ...]) -> Columns:
        """One record's bytes as one row.

        Raises:
            UnparsableMessage, InvalidRecord: as ``parse``.
        """
        return self.columns([self.parse(payload).message], fields)


def parse_descriptor(payload: bytes) -> ModelDescriptor:
    """A model message as protobuf.

    Raises:
        UnparsableMessage: the bytes are no ModelDescriptor.
    """
    try:
        return ModelDescriptor.FromString(payload)
    except DecodeError as error:
        raise UnparsableMessage("ModelDescriptor", str(error) or "truncated or not protobuf") from None


def model_data_type(descriptor: ModelDescriptor) -> str:
    """What a model message is routed by.

    Raises:
        ModelRejected: it has no data type.
    """
    if not descriptor.dataType:
        raise ModelRejected("the model message has no dataType: say which records the model scores")
    return str(descriptor.dataType)


def read_model(descriptor: ModelDescriptor) -> ModelMessage:
    """A model message as a value of the core.

    Raises:
        ModelRejected: no data type, or a number that names no model type, command or output rule.
    """
    data_type = model_data_type(descriptor)
    content = descriptor.WhichOneof("MessageContent")
    return ModelMessage(
        data_type=data_type,
        name=descriptor.name,
        model_type=_known(ModelType, descriptor.modeltype, "modeltype"),
        data=descriptor.data if content == "data" else None,
        location=descriptor.location if content == "location" else None,
        version=descriptor.version,
        sha256=descriptor.sha256,
        command=_known(Command, descriptor.command, "command"),
        inputs=tuple(descriptor.inputs),
        output=_known(OutputRule, descriptor.output, "output"),
        examples=tuple(
            Example(example.record, example.expected, example.tolerance) for example in descriptor.examples
        ),
    )


def encode_result(result: ServingResult) -> bytes:
    """A result as it is written to the results topic."""
    return ServingResultMessage(
        name=result.name,
        dataType=result.data_type,
        submissionTs=result.submission_ts,
        result=result.result,
        version=result.version,
        modeltype=int(result.model_type),  # type: ignore[arg-type]
        scoring_ns=result.scoring_ns,
        served_ts=result.served_ts,
        latency_ms=result.latency_ms,
        outputs=result.outputs,
        label=result.label,
    ).SerializeToString()


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """A dead letter as it is written to its topic."""
    return DeadLetterMessage(
        reason=int(letter.reason),  # type: ignore[arg-type]
        detail=letter.detail,
        payload=letter.payload,
        topic=letter.topic,
        dataType=letter.data_type,
        model=letter.model,
        version=letter.version,
        ts=letter.ts,
    ).SerializeToString()


def encode_status(status: ModelStatus) -> bytes:
    """A status as it is written to the status topic."""
    return ModelStatusMessage(
        dataType=status.data_type,
        name=status.name,
        version=status.version,
        state=int(status.state),  # type: ignore[arg-type]
        detail=status.detail,
        ts=status.ts,
        previous=status.previous,
        load_ms=status.load_ms,
        subtask=status.subtask,
    ).SerializeToString()


def _message_class(record_type: str) -> Any:
    module_name, _, name = record_type.partition(":")
    if not module_name or not name:
        raise ValueError(
            f"'{record_type}' is not of the form module:Message, such as protos.winerecord_pb2:WineRecord"
        )
    try:
        module = import_module(module_name)
    # A module of the user's may fail in any way, generated code that is newer than protobuf among them.
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"the module {module_name} cannot be imported ({why}): install it, or put it on PYTHONPATH"
        ) from error
    message = getattr(module, name, None)
    if not (isinstance(message, type) and issubclass(message, Message)):
        raise ValueError(f"the module {module_name} has no protobuf message {name}")
    return message


def _is_number(field: FieldDescriptor) -> bool:
    return field.cpp_type in _NUMBERS and field.label != FieldDescriptor.LABEL_REPEATED


def _is_integer(field: FieldDescriptor) -> bool:
    return field.cpp_type in _INTEGERS and field.label != FieldDescriptor.LABEL_REPEATED


def _is_text(field: FieldDescriptor) -> bool:
    # Not cpp_type, which is the same for bytes.
    return bool(field.type == FieldDescriptor.TYPE_STRING) and field.label != FieldDescriptor.LABEL_REPEATED


def _row_getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) < 2:
        # attrgetter gives no tuple for one name and refuses none, which a constant model asks for.
        return lambda message: tuple(getattr(message, name) for name in names)
    return attrgetter(*names)


def _known(kind: Any, number: int, field: str) -> Any:
    try:
        return kind(number)
    except ValueError:
        known = ", ".join(f"{member.name}={member.value}" for member in kind)
        raise ModelRejected(f"{field} {number} is not known: use one of {known}") from None
