from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SensorReading(_message.Message):
    __slots__ = ("dataType", "ts", "room", "window_open", "temperature", "people", "grade", "raw", "past")
    class Grade(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[SensorReading.Grade]
        CALIBRATED: _ClassVar[SensorReading.Grade]
    UNKNOWN: SensorReading.Grade
    CALIBRATED: SensorReading.Grade
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    WINDOW_OPEN_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    PEOPLE_FIELD_NUMBER: _ClassVar[int]
    GRADE_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    PAST_FIELD_NUMBER: _ClassVar[int]
    dataType: str
    ts: int
    room: str
    window_open: bool
    temperature: float
    people: int
    grade: SensorReading.Grade
    raw: bytes
    past: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, dataType: _Optional[str] = ..., ts: _Optional[int] = ..., room: _Optional[str] = ..., window_open: bool = ..., temperature: _Optional[float] = ..., people: _Optional[int] = ..., grade: _Optional[_Union[SensorReading.Grade, str]] = ..., raw: _Optional[bytes] = ..., past: _Optional[_Iterable[float]] = ...) -> None: ...
