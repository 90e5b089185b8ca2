"""The routes that publish model messages: upload, rollback, removal. They need a token."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer

from model_serving.core.messages import Command
from model_serving.query.answers import JsonAnswer
from model_serving.query.errors import HttpError
from model_serving.query.parts import parts_of
from model_serving.query.paths import DataType
from model_serving.query.ports import Deployment, Document, Publisher
from model_serving.query.uploads import Upload, receive_upload

__all__ = ["router"]

_ERRORS: dict[int | str, Document] = {
    401: {"description": "The request has no valid token."},
    403: {"description": "The server takes no commands."},
    429: {"description": "Other commands are being carried out."},
    503: {"description": "Kafka did not take the message."},
}

# Only for the description: `Commanding` checks the token before anything of the request is read.
router = APIRouter(
    tags=["commands"],
    default_response_class=JsonAnswer,
    responses=_ERRORS,
    dependencies=[Depends(HTTPBearer(auto_error=False, description="A token of --token-file."))],
)

_AT_ONCE = 4
"""How many commands are carried out at a time. An upload may hold a model of 32 MiB in memory."""

_FIELDS = (
    "name",
    "description",
    "version",
    "model_type",
    "inputs",
    "output",
    "result_output",
    "signature_name",
)

_TEXT = 4_000
"""The most characters of a text about a model."""

_busy: set[object] = set()

Text = Annotated[str, Query(max_length=_TEXT)]


@router.post(
    "/api/v1/data-types/{data_type:path}/models",
    status_code=202,
    summary="Publish a model: its bytes as the body, or a form with the file `model`.",
    responses={
        400: {"description": "This is not a model."},
        408: {"description": "The model came too slowly."},
        413: {"description": "The model is too large."},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["model"],
                        "properties": {
                            "model": {"type": "string", "format": "binary"},
                            **{name: {"type": "string"} for name in _FIELDS},
                        },
                    }
                },
            },
        }
    },
)
async def upload(
    request: Request,
    data_type: DataType,
    name: Text = "",
    description: Text = "",
    version: Text = "",
    model_type: Text = "",
    inputs: Text = "",
    output: Text = "",
    result_output: Text = "",
    signature_name: Text = "",
) -> Response:
    """What is empty is told from the content, as `model-serving publish-models` does.

    The answer says what was published. Whether a job takes the model shows in its status.
    """
    commanding = parts_of(request).commanding
    publisher = commanding.require(request)
    said = Deployment(
        data_type=_not_empty(data_type),
        file=Path(),
        name=name,
        description=description,
        version=version,
        model_type=model_type,
        inputs=inputs,
        output=output,
        result_output=result_output,
        signature_name=signature_name,
    )
    try:
        with _Turn(), tempfile.TemporaryDirectory(prefix="model-serving-") as folder:
            file = Path(folder) / "upload"
            received = await receive_upload(request, file, commanding.upload_limit)
            published = await _published(lambda: publisher.deploy(_deployment(said, file, received)))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise HttpError(
            503,
            f"the server has no room for the upload ({why}): make room in its temporary folder, see TMPDIR",
        ) from error
    return JsonAnswer({"published": published}, 202)


@router.post(
    "/api/v1/data-types/{data_type:path}/rollback",
    status_code=202,
    summary="Serve the version before the present one again.",
)
async def rollback(request: Request, data_type: DataType) -> Response:
    """Publishes the command ROLLBACK."""
    return await _command(request, Command.ROLLBACK, data_type)


@router.delete("/api/v1/data-types/{data_type:path}", status_code=202, summary="Stop serving a data type.")
async def remove(request: Request, data_type: DataType) -> Response:
    """Publishes the command REMOVE."""
    return await _command(request, Command.REMOVE, data_type)


async def _command(request: Request, command: Command, data_type: str) -> Response:
    publisher: Publisher = parts_of(request).commanding.require(request)
    name = _not_empty(data_type)
    with _Turn():
        return JsonAnswer({"published": await _published(lambda: publisher.command(command, name))}, 202)


async def _published(publish: Callable[[], Document]) -> Document:
    # A message that is on its way is not called back when the client goes away.
    return await asyncio.shield(run_in_threadpool(publish))


def _deployment(said: Deployment, file: Path, received: Upload) -> Deployment:
    """The deployment with what the form says, where the query says nothing."""
    given = {
        name: text[:_TEXT]
        for name, text in received.fields.items()
        if name in _FIELDS and not getattr(said, name) and text
    }
    deployment = replace(said, file=file, **given)
    stem = PurePosixPath(received.file_name.replace("\\", "/")).stem.removesuffix(".tar")
    return replace(deployment, name=deployment.name or stem[:_TEXT] or "model")


def _not_empty(data_type: str) -> str:
    if not data_type.strip():
        raise HttpError(404, "the path names no data type: give one that is not empty")
    return data_type


class _Turn:
    """One of the few commands that are carried out at a time."""

    def __enter__(self) -> None:
        if len(_busy) >= _AT_ONCE:
            raise HttpError(
                429, f"{_AT_ONCE} other commands are being carried out: send it again", {"Retry-After": "2"}
            )
        _busy.add(self)

    def __exit__(self, *_: object) -> None:
        _busy.discard(self)
