from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelStatistics(_message.Message):
    __slots__ = ("run", "instance", "host", "dataType", "name", "version", "modeltype", "sha256", "since", "until", "ts", "scored", "failed", "missing", "withoutModel", "deadLetters", "scoring", "latency", "results", "fields")
    class DeadLettersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    RUN_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODELTYPE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    SCORED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    WITHOUTMODEL_FIELD_NUMBER: _ClassVar[int]
    DEADLETTERS_FIELD_NUMBER: _ClassVar[int]
    SCORING_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    run: str
    instance: str
    host: str
    dataType: str
    name: str
    version: str
    modeltype: int
    sha256: str
    since: int
    until: int
    ts: int
    scored: int
    failed: int
    missing: int
    withoutModel: int
    deadLetters: _containers.ScalarMap[str, int]
    scoring: Distribution
    latency: Distribution
    results: Results
    fields: _containers.RepeatedCompositeFieldContainer[FieldStatistics]
    def __init__(self, run: _Optional[str] = ..., instance: _Optional[str] = ..., host: _Optional[str] = ..., dataType: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., modeltype: _Optional[int] = ..., sha256: _Optional[str] = ..., since: _Optional[int] = ..., until: _Optional[int] = ..., ts: _Optional[int] = ..., scored: _Optional[int] = ..., failed: _Optional[int] = ..., missing: _Optional[int] = ..., withoutModel: _Optional[int] = ..., deadLetters: _Optional[_Mapping[str, int]] = ..., scoring: _Optional[_Union[Distribution, _Mapping]] = ..., latency: _Optional[_Union[Distribution, _Mapping]] = ..., results: _Optional[_Union[Results, _Mapping]] = ..., fields: _Optional[_Iterable[_Union[FieldStatistics, _Mapping]]] = ...) -> None: ...

class Distribution(_message.Message):
    __slots__ = ("count", "sum", "min", "max", "sketch")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    SKETCH_FIELD_NUMBER: _ClassVar[int]
    count: int
    sum: float
    min: float
    max: float
    sketch: Sketch
    def __init__(self, count: _Optional[int] = ..., sum: _Optional[float] = ..., min: _Optional[float] = ..., max: _Optional[float] = ..., sketch: _Optional[_Union[Sketch, _Mapping]] = ...) -> None: ...

class Sketch(_message.Message):
    __slots__ = ("first", "counts", "zeros", "negativeFirst", "negativeCounts")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    ZEROS_FIELD_NUMBER: _ClassVar[int]
    NEGATIVEFIRST_FIELD_NUMBER: _ClassVar[int]
    NEGATIVECOUNTS_FIELD_NUMBER: _ClassVar[int]
    first: int
    counts: _containers.RepeatedScalarFieldContainer[int]
    zeros: int
    negativeFirst: int
    negativeCounts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, first: _Optional[int] = ..., counts: _Optional[_Iterable[int]] = ..., zeros: _Optional[int] = ..., negativeFirst: _Optional[int] = ..., negativeCounts: _Optional[_Iterable[int]] = ...) -> None: ...

class Results(_message.Message):
    __slots__ = ("labels", "otherLabels", "numbers", "squaredDeviations")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LABELS_FIELD_NUMBER: _ClassVar[int]
    OTHERLABELS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    SQUAREDDEVIATIONS_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.ScalarMap[str, int]
    otherLabels: int
    numbers: Distribution
    squaredDeviations: float
    def __init__(self, labels: _Optional[_Mapping[str, int]] = ..., otherLabels: _Optional[int] = ..., numbers: _Optional[_Union[Distribution, _Mapping]] = ..., squaredDeviations: _Optional[float] = ...) -> None: ...

class FieldStatistics(_message.Message):
    __slots__ = ("field", "count", "missing", "sum", "edges", "bins", "reference")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    BINS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    field: str
    count: int
    missing: int
    sum: float
    edges: _containers.RepeatedScalarFieldContainer[float]
    bins: _containers.RepeatedScalarFieldContainer[int]
    reference: Reference
    def __init__(self, field: _Optional[str] = ..., count: _Optional[int] = ..., missing: _Optional[int] = ..., sum: _Optional[float] = ..., edges: _Optional[_Iterable[float]] = ..., bins: _Optional[_Iterable[int]] = ..., reference: _Optional[_Union[Reference, _Mapping]] = ...) -> None: ...

class Reference(_message.Message):
    __slots__ = ("source", "count", "missing", "sum", "bins")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    BINS_FIELD_NUMBER: _ClassVar[int]
    source: str
    count: int
    missing: int
    sum: float
    bins: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, source: _Optional[str] = ..., count: _Optional[int] = ..., missing: _Optional[int] = ..., sum: _Optional[float] = ..., bins: _Optional[_Iterable[int]] = ...) -> None: ...
