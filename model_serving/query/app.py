"""Puts the application together: its routes, the guard around them, the page and the description."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.exceptions import HTTPException, RequestValidationError

from model_serving.query import (
    command_routes,
    data_type_routes,
    event_routes,
    health_routes,
    metrics_routes,
    score_routes,
)
from model_serving.query.answers import (
    JsonAnswer,
    answer_to_failure,
    answer_to_http_error,
    answer_to_wrong_request,
)
from model_serving.query.asgi import App
from model_serving.query.errors import HttpError
from model_serving.query.guarding import Guard
from model_serving.query.parts import Parts
from model_serving.query.paths import RawPaths
from model_serving.query.static_files import PAGE, StaticFiles, own_files

__all__ = ["Access", "build_app"]

_VERSION = "1"
_DESCRIPTION = "What serves each data type, since when, how fast, how well, and what was refused."


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask. ``hosts``: the names in the header Host, None for any; ``origins``: other sites (CORS)."""

    hosts: Collection[str] | None = None
    origins: Collection[str] = ()


def build_app(parts: Parts, access: Access) -> App:
    """The application, as a web server runs it."""
    app = FastAPI(
        title="model-serving",
        version=_VERSION,
        description=_DESCRIPTION,
        # The framework's page loads scripts from another host.
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        default_response_class=JsonAnswer,
        redirect_slashes=False,
        # It would look for a provider at each request: docs/decisions/0033.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.parts = parts
    for error in (HttpError, HTTPException, 404, 405):
        app.add_exception_handler(error, answer_to_http_error)
    app.add_exception_handler(RequestValidationError, answer_to_wrong_request)
    app.add_exception_handler(Exception, answer_to_failure)
    # Where two routes match a path, the first one counts: the one with more in its path.
    for routes in (
        health_routes,
        metrics_routes,
        event_routes,
        score_routes,
        command_routes,
        data_type_routes,
    ):
        app.include_router(routes.router)
    own_files().add_to(app)
    StaticFiles(PAGE).add_to(app)
    return Guard(RawPaths(app), access.hosts, access.origins)
