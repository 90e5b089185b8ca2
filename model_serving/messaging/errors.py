"""The errors of this project's own Kafka clients, with one root."""

from __future__ import annotations

__all__ = ["BrokerUnreachable", "MessagingError"]


class MessagingError(Exception):
    """Kafka or the connection to it fails. The text is one line that ends with what to do next."""


class BrokerUnreachable(MessagingError):
    """No Kafka broker answers at the bootstrap servers."""

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__(
            f"no Kafka answers at {bootstrap_servers}: start one (`model-serving broker`), "
            "or name yours with --bootstrap-servers (with TLS or a login: with --kafka-config too)"
        )
