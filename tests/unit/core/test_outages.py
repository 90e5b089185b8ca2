"""Records whose model server is out of reach: they wait in their order, and nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from model_serving.core.batches import Decoded
from model_serving.core.channels import Channel, Emitted, Retry
from model_serving.core.errors import Unavailable
from model_serving.core.messages import DeadLetter, ModelStatus, ModelToServe, ModelType, Reason
from model_serving.core.model_servers.outage import OutagePolicy
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.desk import ServingDesk
from model_serving.core.scoring.refusals import Refusals
from model_serving.core.scoring.server import Server
from model_serving.core.scoring.statuses import Place
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.core.state import Activation, encode_activation
from model_serving.testing import (
    POINT,
    FakeClock,
    FakeEngine,
    FakeMessages,
    InMemoryActiveModels,
    InMemoryWaitingRecords,
    Script,
    point,
    points,
)

LIMIT = 4
BUFFER = WaitingPolicy(NoModelPolicy.BUFFER, LIMIT, bounded=False)


class Around:
    """What survives the restart of a desk."""

    def __init__(self) -> None:
        self.engine = FakeEngine(FakeClock(), {b"v2": Script(offset=100), b"v3": Script(poison=13.0)})
        self.messages = FakeMessages()
        self.active = InMemoryActiveModels()
        self.waiting = InMemoryWaitingRecords()

    def desk(
        self,
        policy: WaitingPolicy = BUFFER,
        outage: OutagePolicy = OutagePolicy.WAIT,
        *,
        waits: bool = True,
    ) -> ServingDesk:
        clock, messages = self.engine.clock, self.messages
        return ServingDesk(
            Server(ModelPool(self.engine), POINT, "mdata", clock, failure_threshold=1, outage=outage),
            messages,
            messages,
            Refusals(messages, "mdata", clock),
            self.active,
            self.waiting if waits else None,
            policy,
            Place("desk", 3),
            clock,
        )

    def take(self, desk: ServingDesk, *records: tuple[int, float]) -> Emitted:
        return desk.take(Decoded([self.messages.batch("wine", records)], []))

    def answers(self, *emitted: Emitted) -> list[tuple[int, str]]:
        return [answer for each in emitted for answer in self.messages.answers(each)]

    def letters(self, emitted: Emitted) -> list[tuple[Reason, str]]:
        found = [self.messages.read(message) for message in emitted.on(Channel.DEAD_LETTERS)]
        return [(letter.reason, letter.detail) for letter in found if isinstance(letter, DeadLetter)]


@pytest.fixture
def around() -> Around:
    return Around()


@pytest.fixture
def desk(around: Around) -> Iterator[Callable[..., ServingDesk]]:
    """``desk()`` makes a desk that serves nothing yet; each has the same state."""
    made: list[ServingDesk] = []

    def make(*arguments: object, **more: object) -> ServingDesk:
        made.append(around.desk(*arguments, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert around.engine.live == []


def order(sequence: int, version: str) -> bytes:
    model = ModelToServe("wine", "model", ModelType.TFSERVING, version, version, version.encode())
    return encode_activation(Activation("wine", sequence, model, ""))


def test_records_wait_and_later_ones_behind_them_until_the_server_is_back(
    around: Around, desk: Callable[..., ServingDesk]
) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    emitted = around.take(serving, (1, 1.0), (2, 2.0))
    assert (emitted.retries, emitted.began_to_wait) == ([Retry("wine", 100, full=False)], ["wine"])
    assert (around.answers(emitted), emitted.side, emitted.counts.waiting) == ([], [], 2)
    around.engine.comes_back()
    emitted = around.take(serving, (3, 3.0))
    assert (around.answers(emitted), emitted.counts.waiting) == ([], 1), "nobody overtakes them"
    assert [retry.data_type for retry in emitted.retries] == ["wine"]
    given = list(serving.retry("wine"))
    assert around.answers(*given) == [(1, "v1: 1"), (2, "v1: 2"), (3, "v1: 3")]
    assert ([each for one in given for each in one.retries], sum(one.counts.waiting for one in given)) == (
        [],
        -3,
    )
    assert around.answers(around.take(serving, (4, 4.0))) == [(4, "v1: 4")]
    assert list(serving.retry("wine")) == []
    assert around.waiting.counts == {}


def test_an_outage_that_goes_on_touches_no_record(around: Around, desk: Callable[..., ServingDesk]) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    around.take(serving, (1, 1.0))
    before = dict(around.waiting.records)
    (model,) = around.engine.models
    scored = len(model.scored)
    (emitted,) = serving.retry("wine")
    assert (emitted.retries, around.waiting.records, len(model.scored)) == (
        [Retry("wine", 100, full=False)],
        before,
        scored,
    )


def test_what_is_beyond_the_limit_waits_too_and_the_host_is_told(
    around: Around, desk: Callable[..., ServingDesk]
) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    told = [around.take(serving, (at, 1.0), (at + 1, 1.0)).retries[-1].full for at in (1, 3, 5)]
    assert (told, around.waiting.count("wine")) == ([False, True, True], 6)
    (emitted,) = serving.retry("wine")
    assert emitted.retries[-1].full
    around.engine.comes_back()
    assert [number for number, _ in around.answers(*serving.retry("wine"))] == [1, 2, 3, 4, 5, 6]


def test_a_server_that_goes_away_in_between_keeps_the_rest_in_order(
    around: Around, desk: Callable[..., ServingDesk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_serving.core.scoring.waiting._WAITING_BATCH", 2)
    serving = desk()
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    for number in range(1, 8):
        around.take(serving, (number, float(number)))
    around.engine.goes_away(after=2)
    first = list(serving.retry("wine"))
    assert around.answers(*first) == [(number, f"v1: {number}") for number in (1, 2, 3, 4)]
    assert (first[-1].retries, around.waiting.count("wine")) == ([Retry("wine", 100, full=False)], 3)
    around.take(serving, (8, 8.0))
    around.engine.comes_back()
    second = list(serving.retry("wine"))
    assert around.answers(*second) == [(number, f"v1: {number}") for number in (5, 6, 7, 8)]
    assert sum(each.counts.waiting for each in (*first, *second)) == -8


def test_a_batch_that_is_scored_in_part_waits_for_the_rest(
    around: Around, desk: Callable[..., ServingDesk]
) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v3")))
    # The batch fails, so it is scored by halves: after the second record the server is gone.
    around.engine.goes_away(after=4)
    emitted = around.take(serving, (1, 1.0), (2, 13.0), (3, 3.0), (4, 4.0))
    assert around.answers(emitted) == [(1, "v3: 1"), (2, "v3 fails")]
    assert around.waiting.count("wine") == 2
    around.engine.comes_back()
    assert around.answers(*serving.retry("wine")) == [(3, "v3: 3"), (4, "v3: 4")]


def test_an_outage_is_never_counted_against_the_model(
    around: Around, desk: Callable[..., ServingDesk]
) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    given = [around.take(serving, (number, 1.0)) for number in range(20)]
    given += [each for _ in range(20) for each in serving.retry("wine")]
    assert [each for one in given for each in one.on(Channel.ROLLBACKS)] == []


def test_a_restart_in_an_outage_keeps_records_and_order(
    around: Around, desk: Callable[..., ServingDesk]
) -> None:
    first = desk()
    list(first.carry_out(order(1, "v1")))
    around.engine.goes_away()
    around.take(first, (1, 1.0))
    first.close()
    second = desk()
    emitted = around.take(second, (2, 2.0))
    assert (around.answers(emitted), emitted.retries) == ([], [Retry("wine", 100, full=False)])
    second.close()
    around.engine.comes_back()
    third = desk()
    assert around.answers(around.take(third, (3, 3.0))) == []
    assert [number for number, _ in around.answers(*third.retry("wine"))] == [1, 2, 3]
    third.close()
    # Without another record, too.
    around.engine.goes_away()
    fourth = desk()
    around.take(fourth, (4, 4.0))
    fourth.close()
    around.engine.comes_back()
    assert around.answers(*desk().retry("wine")) == [(4, "v1: 4")]


def test_a_new_model_takes_the_waiting_records(around: Around, desk: Callable[..., ServingDesk]) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    around.take(serving, (1, 1.0))
    still = list(serving.carry_out(order(2, "v2")))
    assert (around.answers(*still), still[-1].retries) == ([], [Retry("wine", 100, full=False)])
    around.engine.comes_back()
    assert around.answers(*serving.carry_out(order(3, "v1"))) == [(1, "v1: 1")]


@pytest.mark.parametrize("no_model", NoModelPolicy)
def test_when_the_model_is_removed_they_are_records_without_a_model(
    around: Around, desk: Callable[..., ServingDesk], no_model: NoModelPolicy
) -> None:
    serving = desk(WaitingPolicy(no_model, LIMIT, bounded=False))
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    around.take(serving, (1, 1.0), (2, 2.0))
    (emitted,) = serving.carry_out(encode_activation(Activation("wine", 2, None, "v1")))
    waits = no_model is NoModelPolicy.BUFFER
    assert around.waiting.count("wine") == (2 if waits else 0)
    assert around.answers(emitted) == (
        [(1, "no model"), (2, "no model")] if no_model is NoModelPolicy.DEAD_LETTER else []
    )
    assert emitted.counts.dropped == (2 if no_model is NoModelPolicy.DROP else 0)
    assert emitted.counts.waiting == (0 if waits else -2)
    assert [each.retries for each in serving.retry("wine")] == ([[]] if waits else [])


def test_at_the_end_of_a_bounded_run_they_are_given_up_with_the_reason(
    around: Around, desk: Callable[..., ServingDesk]
) -> None:
    serving = desk(WaitingPolicy(NoModelPolicy.BUFFER, 1, bounded=True))
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    assert not around.take(serving, (1, 1.0), (2, 2.0)).retries[0].full, "a bounded run has no limit"
    (emitted,) = serving.end("wine")
    assert around.letters(emitted) == [(Reason.SCORING_FAILED, "it is away")] * 2


def test_the_status_says_why_they_wait(around: Around, desk: Callable[..., ServingDesk]) -> None:
    serving = desk()
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    around.take(serving, (1, 1.0))
    emitted = serving.remind("wine")
    assert emitted is not None
    status = around.messages.read(emitted.swaps[0].status)
    assert isinstance(status, ModelStatus)
    assert (status.detail, status.waiting) == ("1 record waits: it is away", 1)


def test_a_desk_where_records_do_not_wait_gives_them_back(
    around: Around, desk: Callable[..., ServingDesk]
) -> None:
    serving = desk(waits=False)
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    emitted = around.take(serving, (1, 1.0), (2, 2.0))
    assert ([len(batch) for batch in emitted.unmatched], emitted.retries) == ([2], [])
    assert list(serving.retry("wine")) == []


def test_with_dead_letter_nothing_waits(around: Around, desk: Callable[..., ServingDesk]) -> None:
    serving = desk(outage=OutagePolicy.DEAD_LETTER)
    list(serving.carry_out(order(1, "v1")))
    around.engine.goes_away()
    emitted = around.take(serving, (1, 1.0), (2, 2.0))
    assert around.letters(emitted) == [(Reason.SCORING_FAILED, "it is away")] * 2
    assert (emitted.retries, around.waiting.counts) == ([], {})
    around.engine.comes_back()
    assert around.answers(around.take(serving, (3, 3.0))) == [(3, "v1: 3")]


def test_what_waiting_would_not_help_is_refused_at_once(around: Around) -> None:
    around.engine.scripts[b"v1"] = Script(score_fault=Unavailable("Java is gone"))
    server = Server(ModelPool(around.engine), POINT, "mdata", around.engine.clock)
    server.activate(ModelToServe("wine", "model", ModelType.PMML, "v1", "v1", b"v1"))
    outcome = server.serve(points(point(1), point(2)))
    assert (outcome.held, [letter.detail for letter in outcome.dead_letters]) == ([], ["Java is gone"] * 2)
    assert server.outage_of("wine") is None
    server.close()
