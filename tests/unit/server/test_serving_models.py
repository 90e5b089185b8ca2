"""The serving loop: activations, models that are away, and records that wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from model_serving.core.batches import Decoded, Origins
from model_serving.core.errors import Unavailable
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.state import Activation, encode_activation
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.server.entries import Entry, Key, Kind
from model_serving.testing import Script
from tests.unit.server.loops import TOPICS, WINE_SCRIPT, Loop


def test_an_activation_is_carried_out_between_two_batches(loop: Loop) -> None:
    loop.activate("wine", 1, b"one")
    loop.arrive(0, 1)
    loop.send(0, "wine", 1, 2)
    loop.loop.step()
    loop.activate("wine", 2, b"two")
    loop.send(1, "wine", 3)
    loop.loop.step()
    assert loop.results == [(1, "v1"), (2, "v1"), (3, "v2")]
    reports = [entry.key.item for entry in loop.sender.sent if entry.key.kind is Kind.REPORT]
    assert reports == ["1/one", "2/one"]
    # ACTIVE is for the elected member to say.
    assert loop.statuses == []
    assert loop.engine.live == ["two"]


def test_an_activation_waits_until_results_of_the_version_before_are_under_way(loop: Loop) -> None:
    """ACTIVE must not be said before them."""
    loop.activate("wine", 1, b"one")
    loop.arrive(0)
    loop.activate("wine", 2, b"two")
    loop.delivery.holds_back = True
    loop.send(0, "wine", 1)
    loop.loop.step()
    assert (loop.results, loop.is_at_end()) == ([(1, "v1")], False)
    loop.delivery.holds_back = False
    loop.send(0, "wine", 2)
    loop.loop.step()
    assert loop.results == [(1, "v1"), (2, "v2")]


def test_records_wait_under_their_partition_and_are_scored_in_its_order(loop: Loop) -> None:
    loop.arrive(0, 1)
    loop.send(0, "wine", 1, 2)
    loop.send(1, "wine", 10)
    loop.send(0, "beer", 20)
    loop.loop.step()
    assert sorted(entry.key.item for entry in loop.delivery.entries) == ["0/0", "0/0", "1/0"]
    loop.activate("wine", 1, b"one")
    loop.loop.step()
    assert loop.results == [(1, "v1"), (2, "v1"), (10, "v1")]
    assert [entry.key.item for entry in loop.delivery.entries[3:] if entry.value is None] == ["0/0", "1/0"]
    assert (loop.waiting.count("wine"), loop.waiting.count("beer")) == (0, 1)


def test_a_model_is_loaded_outside_of_a_transaction(loop: Loop) -> None:
    """It is one that was active before the start."""
    model = ModelToServe("wine", "model", ModelType.PMML, "v1", "00", b"one")
    loop.mirror.forget(loop.swaps._changed)
    loop.log.put(Key(Kind.ACTIVATION, "wine"), encode_activation(Activation("wine", 1, model)))
    loop.mirror.listen(loop.swaps._changed)
    loop.arrive(0)
    loop.send(0, "wine", 1)
    loop.delivery.calls.clear()
    loop.loop.step()
    loop.send(0, "wine", 2)
    loop.loop.step()
    assert loop.delivery.calls == ["tend False", "finish", "tend True", "tend False", "tend True"]
    assert loop.results == [(1, "v1"), (2, "v1")]


def test_while_too_many_records_wait_for_a_model_server_nothing_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop(monkeypatch, limit=2)
    outage = Unavailable("the model server does not answer", 1_000)
    loop.engine.scripts[b"one"] = replace(WINE_SCRIPT, score_fault=outage)
    loop.activate("wine", 1, b"one")
    loop.arrive(0, 1)
    loop.send(0, "wine", 1, 2)
    loop.loop.step()
    loop.loop.step()
    assert (loop.results, loop.letters, loop.paused) == ([], [], {0, 1})
    loop.send(1, "beer", 3)
    loop.loop.step()
    assert loop.waiting.count("beer") == 0
    # Partitions that come now are not read either.
    loop.share(0, 1, 2)
    loop.mirror.apply([], {0: 0, 1: 0})
    loop.loop.step()
    assert loop.paused == {0, 1, 2}
    loop.engine.models[-1]._script = WINE_SCRIPT
    loop.seconds.now += 1.5
    loop.loop.step()
    loop.loop.step()
    assert (loop.results, loop.paused) == ([(1, "v1"), (2, "v1")], set())
    assert loop.waiting.count("beer") == 1
    loop.close()


def test_who_waits_long_is_told_and_not_again_until_more_wait(loop: Loop) -> None:
    loop.arrive(0)
    loop.send(0, "wine", 1, 2)
    loop.loop.step()
    loop.seconds.now += 9.9
    loop.loop.step()
    assert loop.statuses == []
    loop.seconds.now += 0.2
    loop.loop.step()
    assert [status.waiting for status in loop.statuses] == [2]
    loop.seconds.now += 61
    loop.loop.step()
    assert len(loop.statuses) == 1
    loop.send(0, "wine", 3)
    loop.loop.step()
    loop.seconds.now += 61
    loop.loop.step()
    assert [status.waiting for status in loop.statuses] == [2, 3]


def test_a_fallback_that_does_not_load_holds_nobody_up(loop: Loop) -> None:
    loop.engine.scripts[b"broken"] = Script(load_error="not a model")
    loop.activate("wine", 1, b"broken", fallback=True)
    loop.arrive(0)
    assert [status.state for status in loop.statuses] == [ModelStatus.REJECTED]
    (report,) = [entry for entry in loop.sender.sent if entry.key.kind is Kind.REPORT]
    assert report == Entry(Key(Kind.REPORT, "wine", "1/one"), b"")


def test_a_model_that_does_not_load_here_is_taken_back(loop: Loop) -> None:
    loop.engine.scripts[b"broken"] = Script(load_error="not a model")
    loop.activate("wine", 1, b"broken")
    loop.arrive(0)
    assert [status.state for status in loop.statuses] == [ModelStatus.REJECTED]
    assert len(loop.delivery.written[TOPICS.models]) == 1
    assert [entry for entry in loop.sender.sent if entry.key.kind is Kind.REPORT] == []


def test_records_that_may_wait_are_read_by_partition_and_once(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.arrive(0, 1)
    decoded: list[int] = []
    decode = loop.parts.codec.decode

    def counted(payloads: Sequence[bytes], origins: Origins | None = None) -> Decoded:
        decoded.append(len(payloads))
        return decode(payloads, origins)

    monkeypatch.setattr(loop.parts.codec, "decode", counted)

    def serve(number: int) -> list[int]:
        decoded.clear()
        loop.send(0, "wine", number, number + 1)
        loop.send(1, "wine", number + 2)
        loop.loop.step()
        return list(decoded)

    # That they may wait is known only after the first ones have been read.
    assert serve(1) == [3, 2, 1]
    assert serve(4) == [2, 1]
    loop.activate("wine", 1, b"one")
    serve(7)
    assert serve(10) == [3]
    assert sorted(loop.results) == [(number, "v1") for number in range(1, 13)]
