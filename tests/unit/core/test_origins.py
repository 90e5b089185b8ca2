"""Each result comes with the origin of its record, whatever became of the records beside it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from model_serving.core.batches import UNKNOWN_ORIGIN
from model_serving.core.channels import Emitted
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.pool import ModelPool
from model_serving.core.scoring.desk import ServingDesk
from model_serving.core.scoring.refusals import Refusals
from model_serving.core.scoring.server import Server
from model_serving.core.scoring.statuses import Place
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.core.state import Activation, decode_payloads, encode_activation, encode_payloads
from model_serving.testing import (
    POINT,
    FakeClock,
    FakeEngine,
    FakeMessages,
    InMemoryActiveModels,
    InMemoryWaitingRecords,
    Script,
    ServedRow,
)


class Served:
    """A desk with what is around it. A record's number is its time, and 1000 + number is its origin."""

    def __init__(self) -> None:
        self.engine = FakeEngine(FakeClock(), {b"v1": Script(poison=13.0)})
        self.messages = FakeMessages()
        self.waiting = InMemoryWaitingRecords()
        clock, messages = self.engine.clock, self.messages
        self.desk = ServingDesk(
            Server(ModelPool(self.engine), POINT, "mdata", clock),
            messages,
            messages,
            Refusals(messages, "mdata", clock),
            InMemoryActiveModels(),
            self.waiting,
            WaitingPolicy(NoModelPolicy.BUFFER, 10, bounded=False),
            Place("desk", 0),
            clock,
        )

    def take(self, *records: tuple[int, float] | bytes, data_type: str = "wine") -> Emitted:
        payloads = [
            record if isinstance(record, bytes) else f"{record[1]:g},{record[0]},{data_type}".encode()
            for record in records
        ]
        origins = [0 if isinstance(record, bytes) else 1000 + record[0] for record in records]
        return self.desk.take(self.messages.decode(payloads, np.array(origins)))

    def serve(self) -> list[Emitted]:
        model = ModelToServe("wine", "model", ModelType.ONNX, "v1", "v1", b"v1")
        return list(self.desk.carry_out(encode_activation(Activation("wine", 1, model, ""))))

    def origins(self, *emitted: Emitted) -> list[tuple[int, int]]:
        """(number of the record, origin) of each result."""
        found = []
        for one in emitted:
            rows = [self.messages.read(message) for message in one.results]
            numbers = [row.submission_ts for row in rows if isinstance(row, ServedRow)]
            found += list(zip(numbers, one.origins, strict=True))
        return found


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.desk.close()


def expected(*numbers: int) -> list[tuple[int, int]]:
    return [(number, 1000 + number) for number in numbers]


def test_records_at_fault_take_no_origin_from_the_others(served: Served) -> None:
    served.serve()
    emitted = served.take((1, 1.0), b"not a record", (2, 13.0), (3, 3.0), (4, 13.0), (5, 5.0))
    assert served.origins(emitted) == expected(1, 3, 5)


def test_a_record_that_waits_keeps_its_origin(served: Served) -> None:
    assert served.origins(served.take((1, 1.0), (2, 2.0))) == []
    served.take((3, 13.0), (4, 4.0))
    assert served.origins(*served.serve()) == expected(1, 2, 4)


def test_a_record_that_waits_for_a_server_keeps_its_origin(served: Served) -> None:
    served.serve()
    served.engine.goes_away()
    served.take((1, 1.0), (2, 2.0))
    served.take((3, 3.0))
    served.engine.comes_back()
    assert served.origins(*served.desk.retry("wine")) == expected(1, 2, 3)


def test_records_that_an_older_version_kept_have_no_known_origin(served: Served) -> None:
    served.waiting.add("wine", encode_payloads([b"1,1,wine"]), 1)
    served.take((2, 2.0))
    assert served.origins(*served.serve()) == [(1, UNKNOWN_ORIGIN), *expected(2)]


def test_without_origins_none_are_given(served: Served) -> None:
    payloads = [b"1,1,wine", b"2,2,wine"]
    waits = served.desk.take(served.messages.decode(payloads))
    emitted = [*served.serve(), served.desk.take(served.messages.decode(payloads))]
    assert [(len(one.results), one.origins) for one in (waits, *emitted)] == [
        (0, []),
        (0, []),
        (2, []),
        (2, []),
    ]


@pytest.mark.parametrize("origins", [None, [7, 1 << 62]])
def test_the_payloads_of_waiting_records_are_read_with_and_without_origins(
    origins: list[int] | None,
) -> None:
    assert decode_payloads(encode_payloads([b"one", b"two"], origins)) == [b"one", b"two"]
