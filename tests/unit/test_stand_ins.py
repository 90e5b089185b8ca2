"""A stand-in with old parameters is found, one that takes what is given is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from model_serving.messaging import connection
from model_serving.messaging.access import KafkaAccess


def current(
    kafka: KafkaAccess, *, deadline_s: float, give_up: Callable[[], bool] = lambda: False
) -> None: ...


def without_what_has_a_default(kafka: KafkaAccess, *, deadline_s: float) -> None: ...


def of_another_type(kafka: str, *, deadline_s: float) -> None: ...


def of_another_name(servers: str, *, deadline_s: float) -> None: ...


def without_a_limit(kafka: KafkaAccess) -> None: ...


def with_more(kafka: KafkaAccess, *, deadline_s: float, a: int, b: int, retries: int) -> None: ...


@pytest.mark.parametrize(
    "stand_in",
    [current, without_what_has_a_default, lambda *_, **__: None, lambda kafka, *, deadline_s: None],
)
def test_what_can_be_called_alike_is_taken(monkeypatch: pytest.MonkeyPatch, stand_in: Any) -> None:
    monkeypatch.setattr(connection, "wait_for_broker", stand_in)
    assert connection.wait_for_broker is stand_in


@pytest.mark.parametrize(
    ("stand_in", "says"),
    [
        (of_another_type, "'kafka' is KafkaAccess, not str"),
        (of_another_name, "it does not take 'kafka'"),
        (without_a_limit, "it does not take 'deadline_s'"),
        (with_more, "it needs 'retries', which nobody gives it"),
        (lambda: None, "it does not take 'kafka'"),
    ],
)
@pytest.mark.parametrize("by_name", [True, False])
def test_old_parameters_are_found(
    monkeypatch: pytest.MonkeyPatch, stand_in: Any, says: str, *, by_name: bool
) -> None:
    before = connection.wait_for_broker
    target: tuple[Any, ...] = (connection, "wait_for_broker")
    if by_name:
        target = ("model_serving.messaging.connection.wait_for_broker",)
    with pytest.raises(AssertionError, match=r"stands for model_serving\.messaging\.connection\.") as found:
        cast("Any", monkeypatch).setattr(*target, stand_in)
    assert says in str(found.value)
    assert connection.wait_for_broker is before
