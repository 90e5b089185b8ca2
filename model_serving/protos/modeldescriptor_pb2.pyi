from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelDescriptor(_message.Message):
    __slots__ = ("name", "description", "dataType", "modeltype", "data", "location", "version", "sha256", "command", "inputs", "output", "examples", "signature", "signature_name", "result_output")
    class ModelType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TENSORFLOW: _ClassVar[ModelDescriptor.ModelType]
        TENSORFLOWSAVED: _ClassVar[ModelDescriptor.ModelType]
        PMML: _ClassVar[ModelDescriptor.ModelType]
        ONNX: _ClassVar[ModelDescriptor.ModelType]
        TFSERVING: _ClassVar[ModelDescriptor.ModelType]
        OPENINFERENCE: _ClassVar[ModelDescriptor.ModelType]
    TENSORFLOW: ModelDescriptor.ModelType
    TENSORFLOWSAVED: ModelDescriptor.ModelType
    PMML: ModelDescriptor.ModelType
    ONNX: ModelDescriptor.ModelType
    TFSERVING: ModelDescriptor.ModelType
    OPENINFERENCE: ModelDescriptor.ModelType
    class Command(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEPLOY: _ClassVar[ModelDescriptor.Command]
        REMOVE: _ClassVar[ModelDescriptor.Command]
        ROLLBACK: _ClassVar[ModelDescriptor.Command]
    DEPLOY: ModelDescriptor.Command
    REMOVE: ModelDescriptor.Command
    ROLLBACK: ModelDescriptor.Command
    class Output(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        AUTO: _ClassVar[ModelDescriptor.Output]
        ARGMAX: _ClassVar[ModelDescriptor.Output]
        VALUE: _ClassVar[ModelDescriptor.Output]
    AUTO: ModelDescriptor.Output
    ARGMAX: ModelDescriptor.Output
    VALUE: ModelDescriptor.Output
    class Example(_message.Message):
        __slots__ = ("record", "expected", "tolerance")
        RECORD_FIELD_NUMBER: _ClassVar[int]
        EXPECTED_FIELD_NUMBER: _ClassVar[int]
        TOLERANCE_FIELD_NUMBER: _ClassVar[int]
        record: bytes
        expected: float
        tolerance: float
        def __init__(self, record: _Optional[bytes] = ..., expected: _Optional[float] = ..., tolerance: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    MODELTYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_NAME_FIELD_NUMBER: _ClassVar[int]
    RESULT_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    dataType: str
    modeltype: ModelDescriptor.ModelType
    data: bytes
    location: str
    version: str
    sha256: str
    command: ModelDescriptor.Command
    inputs: _containers.RepeatedScalarFieldContainer[str]
    output: ModelDescriptor.Output
    examples: _containers.RepeatedCompositeFieldContainer[ModelDescriptor.Example]
    signature: bytes
    signature_name: str
    result_output: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., dataType: _Optional[str] = ..., modeltype: _Optional[_Union[ModelDescriptor.ModelType, str]] = ..., data: _Optional[bytes] = ..., location: _Optional[str] = ..., version: _Optional[str] = ..., sha256: _Optional[str] = ..., command: _Optional[_Union[ModelDescriptor.Command, str]] = ..., inputs: _Optional[_Iterable[str]] = ..., output: _Optional[_Union[ModelDescriptor.Output, str]] = ..., examples: _Optional[_Iterable[_Union[ModelDescriptor.Example, _Mapping]]] = ..., signature: _Optional[bytes] = ..., signature_name: _Optional[str] = ..., result_output: _Optional[str] = ...) -> None: ...
