"""Receives an uploaded model into a file, as it comes: the body itself, or the file of a form (RFC 7578)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from model_serving.query.bodies import body_of
from model_serving.query.errors import HttpError

__all__ = ["Upload", "receive_upload"]

_RECEIVE_S = 120.0
"""How long an upload may take."""

_TEXT_BYTES = 16 * 1024
_FIELDS = 20
_FORM_BYTES = _FIELDS * (_TEXT_BYTES + 4_096)
"""How much longer than its file a form may be."""


@dataclass(slots=True)
class Upload:
    """What was uploaded: how many bytes are in the file, its name, and the other fields of the form."""

    size: int = 0
    file_name: str = ""
    fields: dict[str, str] = field(default_factory=dict)


async def receive_upload(request: Request, target: Path, limit: int) -> Upload:
    """Writes the model into the file ``target``.

    Raises:
        HttpError: there is no model in the request, it has more than ``limit`` bytes, or it comes too slowly.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    is_form = kind == b"multipart/form-data"
    most = limit + (_FORM_BYTES if is_form else 0)
    try:
        with target.open("wb") as file:
            receiving = _Form(file, limit, options.get(b"boundary", b"")) if is_form else _Body(file)
            async for chunk in body_of(request, most, _too_large(limit), _RECEIVE_S):
                receiving.take(chunk)
            upload = receiving.end()
    except FormParserError as error:
        why = " ".join(str(error).split())[:200]
        raise HttpError(400, f"the form cannot be read ({why}): send it again") from None
    if not upload.size:
        raise HttpError(
            400,
            "there is no model in the request: send its bytes as the body, or as the file 'model' of a form",
        )
    return upload


def _too_large(limit: int) -> HttpError:
    return HttpError(
        413,
        f"the model is larger than the {limit:,} bytes that this server takes: publish it by its location "
        "(model-serving publish-models --by-location)",
    )


class _Body:
    """The body is the model."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._upload = Upload()

    def take(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._upload.size += len(chunk)

    def end(self) -> Upload:
        return self._upload


class _Form:
    """The model is the one file of the form; the other fields are short texts."""

    def __init__(self, file: BinaryIO, limit: int, boundary: bytes) -> None:
        self._file = file
        self._limit = limit
        self._upload = Upload()
        self._texts: dict[str, bytearray] = {}
        self._files = 0
        self._header = [bytearray(), bytearray()]
        self._disposition = b""
        self._name: str | None = None
        self._ended = False
        if not boundary:
            raise HttpError(400, "the form has no boundary: let the client set the header Content-Type")
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": lambda data, start, end: self._header_has(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._header_has(1, data[start:end]),
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": lambda data, start, end: self._part_has(data[start:end]),
                "on_end": self._form_ends,
            },
        )

    def take(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def end(self) -> Upload:
        self._parser.finalize()
        if not self._ended:
            raise HttpError(400, "the form ends before its last boundary: send it again")
        self._upload.fields = {name: text.decode("utf-8", "replace") for name, text in self._texts.items()}
        return self._upload

    def _part_begins(self) -> None:
        self._disposition = b""

    def _header_has(self, place: int, data: bytes) -> None:
        self._header[place] += data
        if len(self._header[place]) > _TEXT_BYTES:
            raise HttpError(400, "a header in the form is too long: shorten the file's name")

    def _header_ends(self) -> None:
        name, value = map(bytes, self._header)
        self._header = [bytearray(), bytearray()]
        if name.lower() == b"content-disposition":
            self._disposition = value

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options or name == "model":
            self._files += 1
            if self._files > 1:
                raise HttpError(400, "there is more than one file in the form: send one model at a time")
            self._name = None
            self._upload.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
            return
        if name not in self._texts and len(self._texts) >= _FIELDS:
            raise HttpError(
                400, f"there are more than {_FIELDS} fields in the form: see /docs for those it may have"
            )
        self._name = name
        self._texts[name] = bytearray()

    def _part_has(self, data: bytes) -> None:
        if self._name is not None:
            text = self._texts[self._name]
            text += data
            if len(text) > _TEXT_BYTES:
                raise HttpError(400, f"a field of the form is longer than {_TEXT_BYTES:,} bytes: shorten it")
            return
        self._upload.size += len(data)
        if self._upload.size > self._limit:
            raise _too_large(self._limit)
        self._file.write(data)

    def _form_ends(self) -> None:
        self._ended = True
