"""What a user of the client can be told: one root error; its text is the line that is printed."""

from __future__ import annotations

__all__ = ["ClientError", "WrongCall"]


class ClientError(Exception):
    """Something outside the program is wrong. Its text is one line that ends with what to do next."""


class WrongCall(ClientError):
    """The command line asks for something that does not exist: exit status 2."""
