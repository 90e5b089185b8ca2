"""The routes of health and readiness, for whatever starts and watches the server."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from model_serving.query.parts import parts_of
from model_serving.query.ports import Document

__all__ = ["router"]

router = APIRouter(tags=["health"], default_response_class=PlainTextResponse)

_UNWELL: dict[int | str, Document] = {503: {"description": "The reason, on one line."}}


@router.get("/healthz", summary="Whether the process lives.", responses=_UNWELL)
async def healthz(request: Request) -> Response:
    """`ok`, or 503 and the reason."""
    return _answer(request, "/healthz")


@router.get("/readyz", summary="Whether the process has read what it needs, and serves.", responses=_UNWELL)
async def readyz(request: Request) -> Response:
    """`ok`, or 503 and the reason."""
    return _answer(request, "/readyz")


def _answer(request: Request, path: str) -> Response:
    problem = parts_of(request).health.problem(path)
    return PlainTextResponse(f"{problem or 'ok'}\n", 503 if problem else 200)
