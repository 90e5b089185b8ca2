"""The route that scores one record with the version that serves now."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from model_serving.query.answers import JsonAnswer
from model_serving.query.bodies import body_of
from model_serving.query.errors import HttpError
from model_serving.query.parts import parts_of
from model_serving.query.paths import DataType, unknown
from model_serving.query.ports import Document

__all__ = ["router"]

router = APIRouter(tags=["scoring"], default_response_class=JsonAnswer)

_RECORD_BYTES = 1 << 20
_RECEIVE_S = 10.0


@router.post(
    "/api/v1/data-types/{data_type:path}/score",
    summary="Score one record with the version that serves now.",
    responses={
        404: {"description": "Nothing serves the data type."},
        413: {"description": "The record is too large."},
        415: {"description": "The record is not JSON."},
        422: {"description": "This is not a record, or the model has no result for it."},
        503: {"description": "The model cannot be had now."},
        504: {"description": "Scoring takes too long."},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}},
        }
    },
)
async def score(request: Request, data_type: DataType) -> Response:
    """The record is an object with the fields of the record type; those left out have their default.

    The answer has `result`, `label` and `outputs` as a result message has them, and which version gave them.
    """
    parts = parts_of(request)
    if parts.scorer is None:
        raise HttpError(403, "this server scores no records: start it with --score-models 1 or more")
    if parts.known.data_type(data_type) is None:
        raise unknown(data_type, parts.known.names())
    serving = parts.known.serving(data_type)
    if serving is None:
        raise HttpError(404, "no model serves this data type now: publish one")
    record = _record(await _body(request))
    return JsonAnswer(await run_in_threadpool(partial(parts.scorer.score, serving, data_type, record)))


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page of another site cannot send this kind without asking first (CORS).
    if kind != "application/json":
        raise HttpError(
            415, "the record is not sent as JSON: set the header 'Content-Type: application/json'"
        )
    too_large = HttpError(413, f"the record is larger than {_RECORD_BYTES:,} bytes: send one record")
    return b"".join([chunk async for chunk in body_of(request, _RECORD_BYTES, too_large, _RECEIVE_S)])


def _record(body: bytes) -> Document:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise HttpError(422, "the body is not JSON: send an object with the fields of the record") from None
    if not isinstance(value, dict):
        raise HttpError(422, "the body is not an object: send one with the fields of the record")
    return value
