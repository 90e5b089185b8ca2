"""Makes text from messages safe for a terminal, which shows the text but does not obey it.

Anyone who writes to the topics chooses names and error texts. A control character in them could move the
cursor, hide a line or start another one. A character for the direction of text could show a name backwards.
"""

from __future__ import annotations

import json
import unicodedata
from datetime import datetime
from typing import Any

from rich.text import Text

__all__ = ["as_cell", "as_json", "as_moment", "printable"]

_JOINERS = "\u200c\u200d"
"""Invisible characters that belong to the spelling in some scripts, and to emoji."""

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of control and format characters, surrogates, line and paragraph separators."""

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str) -> str:
    r"""Returns ``text`` on one line, with control characters such as ``\x1b`` and ``\n`` escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _is_hidden(character) else character for character in text)


def as_cell(text: str, style: str = "") -> Text:
    """Returns ``printable`` text for rich, which does not read it as markup or emoji names."""
    return Text(printable(text), style=style)


def as_json(value: Any) -> str:
    """Returns JSON on one line that parses to ``value``, with control characters escaped as in JSON."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isascii() and text.isprintable():
        return text
    return "".join(json.dumps(character)[1:-1] if _is_hidden(character) else character for character in text)


def as_moment(epoch_ms: int) -> str:
    """Returns an instant in local time to the second, or the number itself if it is out of range."""
    try:
        return datetime.fromtimestamp(epoch_ms / 1000).astimezone().isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):
        return f"{epoch_ms} ms"


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
