"""The errors of the query server, each with the status of its answer."""

from __future__ import annotations

__all__ = ["HttpError"]


class HttpError(Exception):
    """A request that is answered with an error.

    ``detail`` is one line that says what is wrong and what to do next. ``status`` is the status code of the
    answer, ``headers`` are further headers of it.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
