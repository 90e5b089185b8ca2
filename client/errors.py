"""What a user of the client can be told: one root error; its text is the line that is printed."""

from __future__ import annotations

__all__ = ["BrokerUnreachable", "ClientError", "WrongCall"]


class ClientError(Exception):
    """Something outside the program is wrong. Its text is one line that ends with what to do next."""


class BrokerUnreachable(ClientError):
    """No Kafka answers at the bootstrap servers."""

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__(
            f"no Kafka answers at {bootstrap_servers}: start one (`model-serving broker`), "
            "or name yours with --bootstrap-servers (with TLS or a login: with --kafka-config too)"
        )


class WrongCall(ClientError):
    """The command line asks for something that does not exist: exit status 2."""
