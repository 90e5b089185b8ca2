"""JSON answers, and the answers to errors."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.responses import Response as AnyResponse

from model_serving.query.encoding import Json, encoded
from model_serving.query.errors import HttpError

__all__ = [
    "JsonAnswer",
    "answer_to_failure",
    "answer_to_http_error",
    "answer_to_wrong_request",
    "error_answer",
    "json_answer",
]


_DETAIL = 2_000
"""The most characters of the text of an error."""


class JsonAnswer(JSONResponse):
    """A JSON answer. A number that JSON does not have (NaN, infinite) becomes null."""

    def render(self, content: Any) -> bytes:
        """See the base class."""
        return encoded(content)


def json_answer(content: Json, age_s: float | None) -> AnyResponse:
    """The answer with JSON that is encoded already, and the seconds since this was known to be so.

    The latter is the header ``Age`` (RFC 9111, "Age"): the server is a cache of what is in Kafka.
    """
    headers = None if age_s is None else {"age": str(int(age_s))}
    return AnyResponse(content, headers=headers, media_type="application/json")


def error_answer(status: int, detail: str, headers: dict[str, str] | None = None) -> AnyResponse:
    """The answer to an error: one line of bounded length, whatever names are in it."""
    cut = detail if len(detail) <= _DETAIL else f"{detail[:_DETAIL]}…"
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in cut)
    return JsonAnswer({"detail": line}, status, headers)


async def answer_to_http_error(_request: Request, error: Exception) -> AnyResponse:
    """The answer to an HttpError, or to an error of the framework, which has the same fields."""
    if isinstance(error, HttpError):
        return error_answer(error.status, error.detail, error.headers)
    status = getattr(error, "status_code", 500)
    detail = "there is nothing at this path: see /docs" if status == 404 else getattr(error, "detail", "")
    return error_answer(status, str(detail), getattr(error, "headers", None))


async def answer_to_wrong_request(_request: Request, error: Exception) -> AnyResponse:
    """The answer to parameters or a body of the wrong form. What was sent is not repeated."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    said = "; ".join(
        f"{'.'.join(str(part) for part in one.get('loc', ())[1:]) or 'body'}: {one.get('msg', '')}"
        for one in found[:3]
    )
    return error_answer(422, f"{said or 'the request cannot be read'}: see /docs")


async def answer_to_failure(_request: Request, _error: Exception) -> AnyResponse:
    """The answer to a fault of this program, which is in the log."""
    return error_answer(500, "the query server has a fault: its log says which")
