"""Turns the messages of the topics into plain values, and into lines for people."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from model_serving.client.printable import printable
from model_serving.messaging.topics import TopicNames
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.protos.statistics_pb2 import ModelStatistics

__all__ = ["Kind", "as_json_value", "as_line", "kind_of_topic", "message_types", "parse"]


class Kind(StrEnum):
    """The kind of the messages of a topic."""

    MODELS = "models"
    DATA = "data"
    RESULTS = "results"
    DEAD_LETTERS = "dead-letters"
    STATUS = "status"
    STATISTICS = "statistics"


def kind_of_topic(topic: str, names: TopicNames) -> Kind | None:
    """Returns the kind of ``topic`` by its configured name, None for any other topic."""
    kinds = {
        names.models: Kind.MODELS,
        names.data: Kind.DATA,
        names.results: Kind.RESULTS,
        names.dead_letters: Kind.DEAD_LETTERS,
        names.status: Kind.STATUS,
        names.stats: Kind.STATISTICS,
    }
    return kinds.get(topic)


def message_types(record: type[Message]) -> dict[Kind, type[Message]]:
    """Returns the protobuf message of each kind of topic."""
    return {
        Kind.MODELS: ModelDescriptor,
        Kind.DATA: record,
        Kind.RESULTS: ServingResult,
        Kind.DEAD_LETTERS: DeadLetter,
        Kind.STATUS: ModelStatus,
        Kind.STATISTICS: ModelStatistics,
    }


def parse(message_type: type[Message], payload: bytes) -> Message | None:
    """Returns the message, None when the bytes are not a message of this type."""
    message = message_type()
    try:
        message.ParseFromString(payload)
    except DecodeError:
        return None
    return message


def as_json_value(message: Message) -> dict[str, Any]:
    """Returns every field by its name in the .proto file; fields that were not sent have their default.

    Bytes are base64, enums are names (a number without a name stays a number), 64-bit integers are numbers,
    and a double that JSON lacks is "NaN", "Infinity" or "-Infinity". A oneof has only the field that is set.
    """
    values: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        values[field.name] = _field_value(field, getattr(message, field.name))
    return values


def as_line(kind: Kind, message: Message) -> str:
    """Returns one line with the important parts of a message, safe for a terminal."""
    return printable(_LINES[kind](message))


def _field_value(field: FieldDescriptor, value: Any) -> Any:
    if field.label == FieldDescriptor.LABEL_REPEATED:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            item = entry.fields_by_name["value"]
            return {str(key): _scalar(item, one) for key, one in sorted(value.items())}
        return [_scalar(field, one) for one in value]
    return _scalar(field, value)


def _scalar(field: FieldDescriptor, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode("ascii")
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return _enum_name(field, value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return as_json_value(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return value


def _enum_name(field: FieldDescriptor, number: int) -> str | int:
    known = field.enum_type.values_by_number.get(number)
    return number if known is None else str(known.name)


def _name_of(message: Any, field: str) -> str:
    return str(_enum_name(message.DESCRIPTOR.fields_by_name[field], getattr(message, field)))


def _model_line(message: Any) -> str:
    command = _name_of(message, "command")
    if command != "DEPLOY":
        return f"{message.dataType:<12} {command}"
    content = message.WhichOneof("MessageContent")
    if content == "data":
        digest = hashlib.sha256(message.data).hexdigest()
        holds = f"{len(message.data):,} bytes, sha256 {digest[:12]}"
    else:
        holds = f"at {message.location}" if content else "without content"
    version = f" version {message.version}" if message.version else ""
    takes = f" inputs {','.join(message.inputs)}" if message.inputs else ""
    output = _name_of(message, "output")
    rule = f" output {output}" if output != "AUTO" else ""
    named = f" result from {message.result_output}" if message.result_output else ""
    signature = f" signature {message.signature_name}" if message.signature_name else ""
    return (
        f"{message.dataType:<12} {_name_of(message, 'modeltype'):<15} {message.name}{version} ({holds})"
        f"{takes}{rule}{named}{signature}"
    )


def _record_line(message: Any) -> str:
    values = as_json_value(message)
    head = f"{values.pop('dataType', ''):<12} ts={values.pop('ts', 0)}"
    return f"{head} " + " ".join(f"{name}={_short(value)}" for name, value in values.items())


def _result_line(message: Any) -> str:
    label = f" label={message.label}" if message.label else ""
    outputs = "".join(f" {name}={value:.4g}" for name, value in sorted(message.outputs.items()))
    return (
        f"{message.dataType:<12} {message.result:>10.6g}  by {message.name} {message.version} "
        f"({_name_of(message, 'modeltype')}) scoring {message.scoring_ns / 1000:.1f} µs, "
        f"latency {message.latency_ms:.0f} ms{label}{outputs}"
    )


def _dead_letter_line(message: Any) -> str:
    of = f" of {message.model} {message.version}".rstrip() if message.model else ""
    return (
        f"{message.dataType or '-':<12} {_name_of(message, 'reason'):<15} {len(message.payload):,} bytes "
        f"from {message.topic}{of}: {message.detail}"
    )


def _status_line(message: Any) -> str:
    previous = f", replaces {message.previous}" if message.previous else ""
    loaded = f", loaded in {message.load_ms:.0f} ms" if message.load_ms else ""
    detail = f": {message.detail}" if message.detail else ""
    return (
        f"{message.dataType:<12} {_name_of(message, 'state'):<9} {message.name} {message.version}"
        f"{previous}{loaded} (subtask {message.subtask}){detail}"
    )


def _statistics_line(message: Any) -> str:
    times = "".join(
        f", {what} {one.sum / one.count:.4g} ms on average"
        for what, one in (("in the model", message.scoring), ("latency", message.latency))
        if one.count
    )
    without = f", {message.withoutModel:,} without a model" if message.withoutModel else ""
    letters = "".join(f", {name} {count:,}" for name, count in sorted(message.deadLetters.items()))
    return (
        f"{message.dataType or '-':<12} {message.name} {message.version or 'no version'}: "
        f"{message.scored:,} scored, {message.failed:,} failed{times}{without}{letters} "
        f"({message.host} {message.instance} of run {message.run}{', ended' if message.until else ''})"
    )


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


_LINES: Mapping[Kind, Callable[[Any], str]] = {
    Kind.MODELS: _model_line,
    Kind.DATA: _record_line,
    Kind.RESULTS: _result_line,
    Kind.DEAD_LETTERS: _dead_letter_line,
    Kind.STATUS: _status_line,
    Kind.STATISTICS: _statistics_line,
}
