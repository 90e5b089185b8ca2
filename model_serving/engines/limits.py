"""How large a model may become when it is read, and how model servers are asked."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits", "RemoteAccess"]


@dataclass(frozen=True, slots=True)
class RemoteAccess:
    """How model servers are asked.

    A request with its repetitions takes at most ``timeout_ms`` milliseconds. ``headers_file`` has the headers
    of requests (``core.model_servers.headers``), ``ca_file`` the authorities that servers are trusted by;
    empty: no headers, and the system's authorities.
    """

    timeout_ms: int = 10_000
    headers_file: str = ""
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """The greatest sizes, in bytes, of an unpacked SavedModel archive and of a PMML document.

    ``remote`` is how model servers are asked.
    """

    unpacked_bytes: int = 2 * 1024**3
    pmml_bytes: int = 64 * 1024**2
    remote: RemoteAccess = RemoteAccess()
