"""The names of the commands that serve: each reads its flags by itself, from a table and the environment."""

from __future__ import annotations

__all__ = ["QUERY_SERVER", "SERVER"]

SERVER = "run"
"""The command of the server."""

QUERY_SERVER = "serve"
"""The command of the query server."""
