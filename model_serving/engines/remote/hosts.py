"""The model servers that this process uses: one ``Host`` for each, as long as a model needs it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from model_serving.core.errors import ModelRejected
from model_serving.core.model_servers.location import ServedLocation
from model_serving.engines.foreign_errors import first_line
from model_serving.engines.remote.connection import secure_context
from model_serving.engines.remote.host import Host

__all__ = ["HostUse", "use_host"]


@dataclass(slots=True)
class _Entry:
    host: Host
    users: int = 0


@dataclass(slots=True)
class HostUse:
    """The right to use a host until ``release`` is called; further calls of it do nothing."""

    host: Host
    _key: tuple[str, str] | None = field(repr=False)

    def release(self) -> None:
        """Gives the host back; nobody else's connections are touched."""
        key, self._key = self._key, None
        if key is None:
            return
        with _lock:
            entry = _hosts[key]
            entry.users -= 1
            if entry.users:
                return
            del _hosts[key]
        entry.host.close()


def use_host(location: ServedLocation, ca_file: str) -> HostUse:
    """The host of a location. ``ca_file`` holds the authorities that it is trusted by; empty: the system's.

    Raises:
        ModelRejected: the file cannot be used.
    """
    key = (location.address, ca_file)
    with _lock:
        entry = _hosts.get(key)
        if entry is None:
            try:
                context = secure_context(ca_file) if location.is_secure else None
            except OSError as error:
                raise ModelRejected(
                    f"the file '{ca_file}' of --remote-ca-file cannot be used ({first_line(error)}): give it "
                    "certificates in PEM form"
                ) from None
            entry = _hosts[key] = _Entry(Host(location, context))
        entry.users += 1
        return HostUse(entry.host, key)


_lock = threading.Lock()
_hosts: dict[tuple[str, str], _Entry] = {}
