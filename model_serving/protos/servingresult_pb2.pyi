import modeldescriptor_pb2 as _modeldescriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ServingResult(_message.Message):
    __slots__ = ("name", "dataType", "submissionTs", "result", "version", "modeltype", "scoring_ns", "served_ts", "latency_ms", "outputs", "label")
    class OutputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    SUBMISSIONTS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODELTYPE_FIELD_NUMBER: _ClassVar[int]
    SCORING_NS_FIELD_NUMBER: _ClassVar[int]
    SERVED_TS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    name: str
    dataType: str
    submissionTs: int
    result: float
    version: str
    modeltype: _modeldescriptor_pb2.ModelDescriptor.ModelType
    scoring_ns: int
    served_ts: int
    latency_ms: float
    outputs: _containers.ScalarMap[str, float]
    label: str
    def __init__(self, name: _Optional[str] = ..., dataType: _Optional[str] = ..., submissionTs: _Optional[int] = ..., result: _Optional[float] = ..., version: _Optional[str] = ..., modeltype: _Optional[_Union[_modeldescriptor_pb2.ModelDescriptor.ModelType, str]] = ..., scoring_ns: _Optional[int] = ..., served_ts: _Optional[int] = ..., latency_ms: _Optional[float] = ..., outputs: _Optional[_Mapping[str, float]] = ..., label: _Optional[str] = ...) -> None: ...
