"""Bytes from and to the topics: the one translator between protobuf messages and the core's values.

Total over the messages: what is unset, unknown or empty is decided here, not stumbled on later.
"""

from model_serving.wire.messages import (
    encode_dead_letter,
    encode_rollback,
    encode_status,
    fitted_result,
    parse_descriptor,
    read_model,
    unframed,
)
from model_serving.wire.records import RecordCodec
from model_serving.wire.results import encode_results
from model_serving.wire.rows import PackedBatches
from model_serving.wire.translators import ModelMessages, TopicEncoder

__all__ = [
    "ModelMessages",
    "PackedBatches",
    "RecordCodec",
    "TopicEncoder",
    "encode_dead_letter",
    "encode_results",
    "encode_rollback",
    "encode_status",
    "fitted_result",
    "parse_descriptor",
    "read_model",
    "unframed",
]
