"""Serves the dashboard and the page that shows the description of the routes, from files of this package."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request, Response

__all__ = ["PAGE", "StaticFiles", "own_files"]

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

_INDEX = "index.html"

PAGE = Path(__file__).parents[1] / "observe" / "page"
"""The folder of the dashboard."""


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    tag: str


class StaticFiles:
    """The files of a folder, which are read once: only what is there at the start is served."""

    def __init__(self, folder: Path, *, prefix: str = "/", index: str = "/") -> None:
        """The files are served under ``prefix``, and ``index.html`` at the path ``index`` too."""
        self._files: dict[str, _File] = {}
        paths = sorted(folder.rglob("*")) if folder.is_dir() else []
        for path in paths:
            media_type = _MEDIA_TYPES.get(path.suffix)
            if path.is_file() and media_type is not None:
                content = path.read_bytes()
                file = _File(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
                self._files[f"{prefix}{path.relative_to(folder).as_posix()}"] = file
                if path == folder / _INDEX:
                    self._files[index] = file

    def add_to(self, app: FastAPI) -> None:
        """Adds a route for each file."""
        for path, file in self._files.items():
            app.add_api_route(path, _route(file), methods=["GET"], include_in_schema=False)


def own_files() -> StaticFiles:
    """The page of this package that shows the description of the routes."""
    return StaticFiles(Path(__file__).parent / "docs_page", prefix="/docs/", index="/docs")


def _route(file: _File) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # Browsers ask each time whether a file has changed, so that a page and its scripts fit together.
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return answer
