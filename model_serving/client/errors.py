"""The errors of the client, with one root. The text of an error is the line that is printed."""

from __future__ import annotations

__all__ = ["ClientError", "WrongCall"]


class ClientError(Exception):
    """Something outside the program is wrong. The text is one line that ends with the next step."""


class WrongCall(ClientError):
    """The command line is wrong. The exit status is 2."""
