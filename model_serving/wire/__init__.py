"""Translates between the bytes of the topics, which are protobuf messages, and the core's values.

This package handles every field that is unset, unknown or empty, so that no later code meets one unprepared.
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
