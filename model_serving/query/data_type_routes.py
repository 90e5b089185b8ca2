"""The routes that tell what is known: of data types, their versions, and dead letters."""

from __future__ import annotations

from functools import partial
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from model_serving.observe.ranking import Order
from model_serving.query.answers import JsonAnswer, json_answer
from model_serving.query.encoding import encoded, json_list, json_object
from model_serving.query.parts import parts_of
from model_serving.query.paths import DataType, unknown
from model_serving.query.ports import Document, Known

__all__ = ["router"]

Found = TypeVar("Found")

router = APIRouter(tags=["what is known"], default_response_class=JsonAnswer)

_PAGE = 50
_LARGEST_PAGE = 500
_LETTERS = 20
_MOST_LETTERS = 1_000

_UNKNOWN: dict[int | str, Document] = {404: {"description": "Nothing is known of the data type."}}

Limit = Annotated[int, Query(ge=1, le=_LARGEST_PAGE, description="The most data types in the answer.")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="How many data types to leave out before.")]
Search = Annotated[
    str,
    Query(max_length=1_000, description="Only data types with this in their name, in upper or lower case."),
]


def _found(document: Found | None, data_type: str, known: Known) -> Found:
    """The document that ``known`` has of a data type; the answer 404 if it has none."""
    if document is None:
        raise unknown(data_type, known.names())
    return document


@router.get("/processors", summary="The data types that a model serves.")
async def processors(request: Request) -> Response:
    """`{"models": [data types]}`."""
    known = parts_of(request).known
    return json_answer(encoded({"models": known.serving_names()}), known.age_s())


@router.get("/state/{data_type:path}", summary="The model that serves a data type.", responses=_UNKNOWN)
async def state(request: Request, data_type: DataType) -> Response:
    """Its name and kind, since when it serves, and how many records it took how long to score.

    `since` is epoch milliseconds; `duration` (the sum), `min` and `max` are milliseconds in the model.
    """
    known = parts_of(request).known
    return json_answer(encoded(_found(known.serving(data_type), data_type, known)), known.age_s())


@router.get("/api/v1/data-types", summary="The data types, a page at a time.")
async def data_types(
    request: Request,
    search: Search = "",
    sort: Annotated[Order, Query(description="What they are sorted by; equal ones by name.")] = Order.NAME,
    descending: Annotated[bool, Query(description="The greatest first.")] = False,
    offset: Offset = 0,
    limit: Limit = _PAGE,
) -> Response:
    """`{"total": …, "offset": …, "items": [data types]}`; `total` counts those that `search` finds."""
    known = parts_of(request).known
    found = partial(known.data_types, search, sort, descending=descending, offset=offset, limit=limit)
    # What lists are sorted by is told of each data type. With thousands that takes a while, and others should
    # not wait for it.
    page = found() if sort is Order.NAME else await run_in_threadpool(found)
    return json_answer(page, known.age_s())


@router.get(
    "/api/v1/data-types/{data_type:path}/versions",
    summary="The versions that served a data type, with their statistics, newest first.",
    responses=_UNKNOWN,
)
async def versions(request: Request, data_type: DataType) -> Response:
    """Counts, percentiles, results (class counts, or a histogram), and the drift of each field."""
    known = parts_of(request).known
    found = _found(known.versions(data_type), data_type, known)
    content = json_object({"dataType": encoded(data_type), "versions": json_list(found)})
    return json_answer(content, known.age_s())


@router.get(
    "/api/v1/data-types/{data_type:path}/series",
    summary="Throughput and latency of a data type over time, and its swaps.",
    responses=_UNKNOWN,
)
async def series(request: Request, data_type: DataType) -> Response:
    """Points of `intervalS` seconds, oldest first; intervals without a report have none."""
    known = parts_of(request).known
    return json_answer(_found(known.series(data_type), data_type, known), known.age_s())


@router.get(
    "/api/v1/data-types/{data_type:path}",
    summary="What serves a data type, how fast and how well.",
    responses=_UNKNOWN,
)
async def data_type(request: Request, data_type: DataType) -> Response:
    """The serving version, throughput now, latency and scoring percentiles, and dead letters by reason."""
    known = parts_of(request).known
    return json_answer(_found(known.data_type(data_type), data_type, known), known.age_s())


@router.get("/api/v1/dead-letters", summary="The newest dead letters, newest first.")
async def dead_letters(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST_LETTERS, description="How many at most.")] = _LETTERS,
    data_type: Annotated[
        str | None, Query(description="Only those of this data type; of none if it is empty.")
    ] = None,
) -> Response:
    """`{"items": [dead letters], "counts": {reason: number}, "withoutDataType": {reason: number}}`.

    `payload` is base64 of the first bytes, `size` the number of all bytes. `counts` are of all letters that
    were asked for, also beyond `limit`; `withoutDataType` are those that belong to no data type.
    """
    known = parts_of(request).known
    answer = {
        "items": json_list(known.dead_letters(limit, data_type)),
        "counts": encoded(known.letters_by_reason(data_type)),
        "withoutDataType": encoded(known.letters_by_reason("")),
    }
    return json_answer(json_object(answer), known.age_s())
