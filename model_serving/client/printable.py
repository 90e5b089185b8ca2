"""Text from messages, made safe for a terminal: shown as it is, but never obeyed.

Names and error texts come from whoever writes to the topics. A control character in them could move the
cursor, hide a line or start another one; one for the direction of writing could show a name backwards.
"""

from __future__ import annotations

import json
import unicodedata
from datetime import datetime
from typing import Any

from rich.text import Text

__all__ = ["as_cell", "as_json", "as_moment", "printable"]

_JOINERS = "\u200c\u200d"
"""Invisible, but spelling in some scripts, and in emoji."""

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of control and format characters, halves of surrogates, line and paragraph ends."""

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str) -> str:
    r"""``text`` on one line; what a terminal would obey is escaped, such as ``\x1b`` and ``\n``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _is_hidden(character) else character for character in text)


def as_cell(text: str, style: str = "") -> Text:
    """``printable`` text for rich, which takes none of it for markup or an emoji."""
    return Text(printable(text), style=style)


def as_json(value: Any) -> str:
    """JSON on one line that parses to ``value``; those characters are escaped as JSON does it."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isascii() and text.isprintable():
        return text
    return "".join(json.dumps(character)[1:-1] if _is_hidden(character) else character for character in text)


def as_moment(epoch_ms: int) -> str:
    """An instant in local time to the second; the number itself where no clock shows it."""
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
