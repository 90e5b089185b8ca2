"""Finds free ports on this machine that are likely to stay free until a server binds them."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port", "is_free"]

# The range is below the ports that the kernel takes for outgoing connections (32768 and up on Linux).
# Otherwise a connection could take a port after it is found free and before a server binds it.
_FROM, _TO = 20_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server can listen on ``port`` of localhost, on IPv4, and on IPv6 if this machine has it."""
    return _can_bind(socket.AF_INET, "127.0.0.1", port) and (
        not _has_ipv6_loopback() or _can_bind(socket.AF_INET6, "::1", port)
    )


def free_port(*, preferred: int | None = None) -> int:
    """Returns ``preferred`` if it is free, else a free port chosen at random from 20000 to 32000.

    Raises:
        OSError: no free port was found in a thousand tries.
    """
    if preferred is not None and is_free(preferred):
        return preferred
    for _ in range(1_000):
        port = random.randrange(_FROM, _TO)  # noqa: S311 - not a secret
        if is_free(port):
            return port
    raise OSError(f"no free port between {_FROM} and {_TO}: stop some of the servers on this machine")


def _has_ipv6_loopback() -> bool:
    return socket.has_ipv6 and _can_bind(socket.AF_INET6, "::1", 0)


def _can_bind(family: socket.AddressFamily, host: str, port: int) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Servers set this too: a port whose last connection has just been closed then counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
