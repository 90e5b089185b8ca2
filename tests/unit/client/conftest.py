"""What the tests of the publish commands share."""

from __future__ import annotations

from typing import Self

import pytest


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Returns the payloads that the commands send."""
    payloads: list[bytes] = []

    class KeepingSender:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def send(self, payload: bytes, key: str | None = None) -> None:
            payloads.append(payload)

        def flush(self) -> None:
            pass

        def serve(self) -> None:
            pass

    monkeypatch.setattr("model_serving.client.publishing.Sender", KeepingSender)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return payloads
