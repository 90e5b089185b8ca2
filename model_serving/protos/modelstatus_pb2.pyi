import modeldescriptor_pb2 as _modeldescriptor_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelStatus(_message.Message):
    __slots__ = ("dataType", "name", "version", "state", "detail", "ts", "previous", "load_ms", "subtask", "description", "modeltype", "sha256", "size", "waiting")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[ModelStatus.State]
        ACTIVE: _ClassVar[ModelStatus.State]
        REJECTED: _ClassVar[ModelStatus.State]
        REMOVED: _ClassVar[ModelStatus.State]
    UNSPECIFIED: ModelStatus.State
    ACTIVE: ModelStatus.State
    REJECTED: ModelStatus.State
    REMOVED: ModelStatus.State
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    LOAD_MS_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MODELTYPE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    dataType: str
    name: str
    version: str
    state: ModelStatus.State
    detail: str
    ts: int
    previous: str
    load_ms: float
    subtask: int
    description: str
    modeltype: _modeldescriptor_pb2.ModelDescriptor.ModelType
    sha256: str
    size: int
    waiting: int
    def __init__(self, dataType: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., state: _Optional[_Union[ModelStatus.State, str]] = ..., detail: _Optional[str] = ..., ts: _Optional[int] = ..., previous: _Optional[str] = ..., load_ms: _Optional[float] = ..., subtask: _Optional[int] = ..., description: _Optional[str] = ..., modeltype: _Optional[_Union[_modeldescriptor_pb2.ModelDescriptor.ModelType, str]] = ..., sha256: _Optional[str] = ..., size: _Optional[int] = ..., waiting: _Optional[int] = ...) -> None: ...
