"""Turns the texts of flags into values."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from model_serving.core.admission.signing import read_keys
from model_serving.core.model_servers.headers import read_headers
from model_serving.messaging.access import read_kafka_config
from model_serving.stores.models import missing_client, without_credentials
from model_serving.wire import RecordCodec

__all__ = [
    "Wrong",
    "read_ca_file",
    "read_choice",
    "read_directory",
    "read_headers_file",
    "read_hours",
    "read_kafka_file",
    "read_key_file",
    "read_number",
    "read_places",
    "read_record_type",
    "read_servers",
    "read_store",
    "read_switch",
    "read_text",
    "read_topic",
    "read_topic_or_none",
]

_IPV6 = re.compile(r"//\[[0-9A-Fa-f:.]+\]")
_TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")


class Wrong(ValueError):
    """A value that a flag does not take; the text says what it takes."""


def read_text(text: str) -> str:
    """Any text that is not blank."""
    if not text.strip():
        raise Wrong("must not be empty")
    return text


def read_topic(text: str) -> str:
    """The name of a Kafka topic."""
    if not _TOPIC_NAME.fullmatch(read_text(text)) or text in {".", ".."}:
        raise Wrong(f"'{text}' is not a topic name: letters, digits, '.', '_' and '-', at most 249 of them")
    return text


def read_topic_or_none(text: str) -> str:
    """The name of a Kafka topic; empty for an empty text."""
    return read_topic(text) if text else ""


def read_choice(kind: type[Enum]) -> Callable[[str], Enum]:
    """A reader of an enumeration's members by their values."""

    def read(text: str) -> Enum:
        try:
            return kind(text)
        except ValueError:
            allowed = ", ".join(str(member.value) for member in kind)
            raise Wrong(f"'{text}' is not one of: {allowed}") from None

    return read


def read_number(least: int) -> Callable[[str], int]:
    """A reader of whole numbers that are not below ``least``."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise Wrong(f"'{text}' is not a whole number of {least} or more")
        return number

    return read


def read_switch(text: str) -> bool:
    """True or false, in any of the usual words."""
    word = text.strip().lower()
    if word in ("true", "1", "yes", "on"):
        return True
    if word in ("", "false", "0", "no", "off"):
        return False
    raise Wrong(f"'{text}' is neither true nor false")


def read_places(text: str) -> tuple[str, ...]:
    """Paths and URLs, separated by commas; no places for an empty text."""
    places = tuple(place.strip() for place in text.split(",") if place.strip())
    for place in places:
        if "::" in _IPV6.sub("//host", place) or ".." in place.split("/"):
            raise Wrong(f"'{place}' is neither a path nor a URL without '::' and '..'")
    return places


def read_key_file(text: str) -> str:
    """The absolute path of a key file that can be read; empty for an empty text."""
    if not text:
        return ""
    path = str(Path(text).resolve())
    try:
        read_keys(path)
    except ValueError as error:
        raise Wrong(str(error)) from None
    return path


def read_headers_file(text: str) -> str:
    """The absolute path of a file of headers that can be read; empty for an empty text."""
    if not text:
        return ""
    path = str(Path(text).resolve())
    try:
        read_headers(path)
    except ValueError as error:
        raise Wrong(str(error)) from None
    return path


def read_ca_file(text: str) -> str:
    """The absolute path of a file of certificates in PEM form; empty for an empty text."""
    if not text:
        return ""
    path = str(Path(text).resolve())
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        why = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise Wrong(f"'{path}' cannot be used ({why})") from None
    return path


def read_kafka_file(text: str) -> dict[str, str]:
    """The client properties in a file; no properties for an empty text."""
    if not text:
        return {}
    try:
        return read_kafka_config(text)
    except ValueError as error:
        raise Wrong(str(error)) from None


def read_servers(text: str) -> str:
    """Kafka's ``host:port``, one or several."""
    for server in text.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise Wrong(f"'{text}' is not host:port, or several of them separated by commas")
    return text


def read_directory(text: str) -> str:
    """A URL; a path becomes a ``file://`` URL."""
    text = read_text(text)
    return text if "://" in text else f"file://{Path(text).resolve()}"


def read_store(text: str) -> str:
    """The URL of a model store that Python has a client for; empty for an empty text."""
    if not text.strip():
        return ""
    shown = without_credentials(text)
    if "::" in text:
        raise Wrong(f"'{shown}' is neither a path nor a URL without '::'")
    url = read_directory(text)
    if lacking := missing_client(url):
        raise Wrong(f"'{shown}' cannot be opened: {lacking} (here and on each TaskManager)")
    return url


def read_hours(text: str) -> float:
    """A number of hours, 0 or more."""
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 <= hours < math.inf:
        raise Wrong(f"'{text}' is not a number of hours, 0 or more")
    return hours


def read_record_type(text: str) -> str:
    """``module:Message`` of a message that can be imported."""
    try:
        RecordCodec(text)
    except ValueError as error:
        hint = f": it is called '{_moved(text)}' now" if _moved(text) else ""
        raise Wrong(f"{error}{hint}") from None
    return text


def _moved(text: str) -> str:
    """The present name of a record type of this project, if the text is its old name; empty if not."""
    if not text.startswith("protos."):
        return ""
    try:
        RecordCodec(f"model_serving.{text}")
    except ValueError:
        return ""
    return f"model_serving.{text}"
