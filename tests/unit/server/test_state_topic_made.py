"""A state topic that was made a moment ago."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from model_serving.server import state_topic
from model_serving.server.state_topic import PARTITIONS, ensure_state_topic


class NewTopicAdmin:
    """See ``AdminClient``: a topic is known only some looks after it was made."""

    def __init__(self, looks: int) -> None:
        self.looks_left = looks
        self.made: list[str] = []

    def list_topics(self, timeout: float) -> Any:
        topics: dict[str, Any] = {}
        if self.made:
            self.looks_left -= 1
            if self.looks_left <= 0:
                topics[self.made[0]] = SimpleNamespace(
                    error=None, partitions=dict.fromkeys(range(PARTITIONS))
                )
        return SimpleNamespace(topics=topics)

    def create_topics(self, wanted: Sequence[Any]) -> dict[str, Future[None]]:
        future: Future[None] = Future()
        future.set_result(None)
        self.made = [one.topic for one in wanted]
        return dict.fromkeys(self.made, future)


def test_a_start_goes_on_only_when_the_topic_that_it_made_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for it too soon asks again only after some tenths of a second."""
    monkeypatch.setattr(state_topic, "_MADE_LOOK_S", 0)
    admin: Any = NewTopicAdmin(looks=3)
    assert ensure_state_topic(admin, "state")
    assert (admin.made, admin.looks_left) == (["state"], 0)
