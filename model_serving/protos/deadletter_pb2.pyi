from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeadLetter(_message.Message):
    __slots__ = ("reason", "detail", "payload", "topic", "dataType", "model", "version", "ts")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[DeadLetter.Reason]
        UNPARSABLE: _ClassVar[DeadLetter.Reason]
        INVALID_RECORD: _ClassVar[DeadLetter.Reason]
        NO_MODEL: _ClassVar[DeadLetter.Reason]
        SCORING_FAILED: _ClassVar[DeadLetter.Reason]
        MODEL_REJECTED: _ClassVar[DeadLetter.Reason]
    UNSPECIFIED: DeadLetter.Reason
    UNPARSABLE: DeadLetter.Reason
    INVALID_RECORD: DeadLetter.Reason
    NO_MODEL: DeadLetter.Reason
    SCORING_FAILED: DeadLetter.Reason
    MODEL_REJECTED: DeadLetter.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    reason: DeadLetter.Reason
    detail: str
    payload: bytes
    topic: str
    dataType: str
    model: str
    version: str
    ts: int
    def __init__(self, reason: _Optional[_Union[DeadLetter.Reason, str]] = ..., detail: _Optional[str] = ..., payload: _Optional[bytes] = ..., topic: _Optional[str] = ..., dataType: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[str] = ..., ts: _Optional[int] = ...) -> None: ...
