"""The file of headers, such as a token, that requests to model servers have.

A line is ``PLACE NAME: VALUE``, for example::

    https://models.example:8501/  Authorization: Bearer 0123456789abcdef

The header goes to models under this place and to no others: whoever may publish a model must not be able to
have the token sent to a server of their own. Empty lines and lines that start with # are skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from model_serving.core.model_servers.location import ServedLocation, is_under

__all__ = ["Header", "headers_for", "read_headers"]

_LINE = re.compile(r"(?P<place>\S+)\s+(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>[\t\x20-\x7e]*)")
_OURS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "expect"}
)
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """A header for the models under a place."""

    place: str
    name: str
    value: str = field(repr=False)


def read_headers(path: str) -> tuple[Header, ...]:
    """The headers of a file.

    Raises:
        ValueError: the file cannot be read, or a line is not a header; the text never shows a value.
    """
    try:
        with Path(path).open("rb") as file:
            lines = file.read(_MOST_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"'{path}' cannot be read ({why})") from None
    headers = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None or not _is_place(found["place"]):
            raise ValueError(
                f"line {number} of '{path}' is not a header: write it as "
                "https://host:port/ Authorization: Bearer TOKEN"
            )
        if found["name"].casefold() in _OURS:
            raise ValueError(f"line {number} of '{path}': the header {found['name']} cannot be set")
        headers.append(Header(found["place"], found["name"], found["value"].strip()))
    return tuple(headers)


def headers_for(location: ServedLocation, headers: tuple[Header, ...]) -> dict[str, str]:
    """The headers of requests to a location."""
    return {header.name: header.value for header in headers if is_under(location, header.place)}


def _is_place(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
