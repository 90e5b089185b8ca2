"""A board answers what the status and dead-letter topics say together, whatever order they come in."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from model_serving.observe.answers import DataType, Page
from model_serving.observe.board import Board
from model_serving.observe.limits import Limits
from model_serving.observe.ranking import Order
from model_serving.observe.values import Change, Letter, Place, Rejection, Standing
from model_serving.protos.deadletter_pb2 import DeadLetter
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.protos.statistics_pb2 import ModelStatistics
from tests.unit.observe.sent import active, letter, rejected, removed, statistics, waiting

Message = ModelStatus | DeadLetter | bytes


def board_of(*messages: Message, limits: Limits | None = None) -> Board:
    board = Board(lambda: 0, limits)
    for offset, message in enumerate(messages):
        add(board, message, Place(0, offset))
    return board


def add(board: Board, message: Message, place: Place) -> bool:
    if isinstance(message, bytes):
        return board.add_statistics(message, place) is not None
    if isinstance(message, ModelStatus):
        return board.add_status(message, place)
    return board.add_dead_letter(message, place) is not None


def test_what_serves_a_data_type() -> None:
    sha256 = "ab" * 32
    board = board_of(
        active(10, "v1", load_ms=4),
        rejected(15, "v9"),
        active(20, "v2", "v1", load_ms=5, description="d", modeltype=2, sha256=sha256, size=7, detail="fast"),
        active(22, "v2", "v1", load_ms=9, subtask=1),
        rejected(30, "v3"),
        letter(31),
        letter(32, DeadLetter.SCORING_FAILED),
        letter(33),
    )
    assert board.data_type("wine") == DataType(
        "wine",
        state="ACTIVE",
        name="m",
        version="v2",
        previous="v1",
        description="d",
        model_type=2,
        sha256=sha256,
        size=7,
        since=20,
        load_ms=9,
        subtasks=(0, 1),
        detail="fast",
        rejected=Rejection("m", "v3", "no such field", 30),
        dead_letters={"NO_MODEL": 2, "SCORING_FAILED": 1},
    )
    assert board.standing("wine") == Standing(
        changes=(
            Change("ACTIVE", "m", "v1", "", 10, load_ms=4, subtasks=(0,)),
            Change("ACTIVE", "m", "v2", "v1", 20, "d", 2, sha256, 7, "fast", 9, (0, 1)),
        ),
        rejections=(
            Rejection("m", "v9", "no such field", 15),
            Rejection("m", "v3", "no such field", 30),
        ),
    )


def test_nothing_is_known_of_a_data_type_without_messages() -> None:
    board = board_of(active(1, "v1", dataType=""), ModelStatus(dataType="wine", ts=1))
    assert board.data_type("wine") is None
    assert board.standing("wine") == Standing()
    assert board.dead_letters(data_type="wine") == ()
    assert board.data_types() == Page(0, 0, ())


def test_a_board_that_is_cleared_takes_the_same_messages_again() -> None:
    messages: list[Message] = [active(10, "v1"), letter(11), statistics(12, [1.0])]
    board = board_of(*messages)
    before = everything(board)
    board.clear()
    assert everything(board) == [Page(0, 0, ()), (), {}]
    for offset, message in enumerate(messages):
        assert add(board, message, Place(0, offset))
    assert everything(board) == before


def test_a_removed_model_is_what_a_rollback_would_bring_back() -> None:
    board = board_of(active(10, "v1"), removed(20), removed(21, subtask=1))
    assert board.data_type("wine") == DataType(
        "wine", state="REMOVED", previous="v1", since=20, subtasks=(0, 1)
    )


def test_waiting_records_are_added_over_subtasks_until_a_model_serves() -> None:
    reports = (waiting(5, 3), waiting(6, 4), waiting(6, 10, subtask=1))
    assert board_of(*reports).data_type("wine") == DataType("wine", waiting=14)
    served = board_of(*reports, active(7, "v1")).data_type("wine")
    assert served is not None
    assert served.waiting == 0


def test_the_newest_dead_letters_with_their_first_bytes() -> None:
    board = board_of(
        letter(2, dataType="a"),
        letter(1, dataType="", payload=b"x" * 300, detail="y" * 5000),
        letter(3, DeadLetter.SCORING_FAILED, dataType="b", model="m", version="v1"),
    )
    of_a = Letter(Place(0, 0), 2, "NO_MODEL", "why", b"abc", 3, "mdata", "a")
    without = Letter(Place(0, 1), 1, "NO_MODEL", "y" * 3999 + "…", b"x" * 256, 300, "mdata", "")
    of_b = Letter(Place(0, 2), 3, "SCORING_FAILED", "why", b"abc", 3, "mdata", "b", "m", "v1")
    assert board.dead_letters() == (of_b, of_a, without)
    assert board.dead_letters(1) == (of_b,)
    assert board.dead_letters(0) == ()
    assert board.dead_letters(data_type="a") == (of_a,)
    assert board.dead_letters(data_type="") == (without,)
    assert board.dead_letter_counts() == {"NO_MODEL": 2, "SCORING_FAILED": 1}
    assert [board.dead_letter_counts(name) for name in ("", "b", "unknown")] == [
        {"NO_MODEL": 1},
        {"SCORING_FAILED": 1},
        {},
    ]


def test_pages_of_a_list_that_is_searched_and_sorted() -> None:
    board = board_of(
        *(
            active(ts, "v1", dataType=name)
            for ts, name in ((3, "Rot"), (1, "rose"), (2, "weiss"), (3, "wein"))
        )
    )

    def names(search: str = "", **options: object) -> tuple[int, list[str]]:
        page = board.data_types(search, **options)  # type: ignore[arg-type]
        return page.total, [one.data_type for one in page.data_types]

    assert names() == (4, ["Rot", "rose", "wein", "weiss"])
    assert names(descending=True, limit=1) == (4, ["weiss"])
    assert names("RO") == (2, ["Rot", "rose"])
    assert names(offset=1, limit=2) == (4, ["rose", "wein"])
    assert names(offset=9) == (4, [])
    assert names(order=Order.SINCE) == (4, ["rose", "weiss", "Rot", "wein"])
    assert names(order=Order.SINCE, descending=True) == (4, ["Rot", "wein", "weiss", "rose"])
    assert names("w", order=Order.SINCE, descending=True, limit=1) == (2, ["wein"])


def test_data_types_without_a_model_are_forgotten_before_those_with_one() -> None:
    limits = Limits(data_types=3)
    board = board_of(
        active(1, "v1", dataType="served"),
        letter(2, dataType="old"),
        letter(3, dataType="new"),
        letter(4, dataType="newer"),
        active(5, "v1", dataType="newest"),
        limits=limits,
    )
    assert board.names() == ["newer", "newest", "served"]
    assert board.forgotten == 2
    assert board.dead_letter_counts() == {"NO_MODEL": 3}


def test_long_names_are_forgotten_by_their_length() -> None:
    board = board_of(
        *(letter(ts, dataType=str(ts) * 1000) for ts in range(1, 9)), limits=Limits(name_characters=2500)
    )
    assert [name[0] for name in board.names()] == ["7", "8"]


def test_the_oldest_reports_are_forgotten_where_there_are_too_many() -> None:
    changes = [active(ts, f"v{ts}") for ts in range(10)]
    other = [active(ts, f"v{ts}", dataType="beer") for ts in range(10, 14)]
    board = board_of(*changes, limits=Limits(status_reports=4))
    assert [one.version for one in board.standing("wine").changes] == ["v6", "v7", "v8", "v9"]
    board = board_of(*changes, *other, limits=Limits(status_reports=4, all_status_reports=6))
    assert [one.version for one in board.standing("wine").changes] == ["v8", "v9"]
    assert [one.version for one in board.standing("beer").changes] == ["v12", "v13"]


def test_the_oldest_letters_are_forgotten_where_there_are_too_many() -> None:
    letters = [letter(ts, dataType=name) for ts in range(10) for name in ("beer", "wine")]
    board = board_of(*letters, limits=Limits(letters=4, all_letters=6, newest_letters=3))
    assert [one.ts for one in board.dead_letters(data_type="beer")] == [9, 8]
    assert [(one.ts, one.data_type) for one in board.dead_letters()] == [
        (9, "wine"),
        (9, "beer"),
        (8, "wine"),
    ]
    assert board.dead_letter_counts() == {"NO_MODEL": 20}


def test_numbers_without_a_name_are_one_reason() -> None:
    strange = [DeadLetter.FromString(bytes([8, 77 + number])) for number in range(2)]
    board = board_of(*strange)
    assert board.dead_letter_counts() == {"UNSPECIFIED": 2}
    assert [one.reason for one in board.dead_letters()] == ["78", "77"]


DATA_TYPES = st.sampled_from(["wine", "beer", "\u202eevil", ""])
MOMENTS = st.integers(0, 5)
STATUSES = st.one_of(
    st.builds(
        active,
        MOMENTS,
        st.sampled_from("ab"),
        st.sampled_from(["", "a"]),
        dataType=DATA_TYPES,
        subtask=st.integers(0, 2),
    ),
    st.builds(rejected, MOMENTS, st.sampled_from("ab"), dataType=DATA_TYPES),
    st.builds(removed, MOMENTS, dataType=DATA_TYPES, subtask=st.integers(0, 2)),
    st.builds(waiting, MOMENTS, st.integers(1, 5), dataType=DATA_TYPES, subtask=st.integers(0, 2)),
)
LETTERS = st.builds(letter, MOMENTS, st.sampled_from([1, 3, 5]), dataType=DATA_TYPES)
REPORTS = st.builds(
    statistics,
    st.integers(0, 5000),
    st.lists(st.sampled_from([0.0, 1.0, 2.5, 700.0]), max_size=3),
    data_type=DATA_TYPES,
    version=st.sampled_from(["", "a", "b"]),
    since=MOMENTS,
    until=st.sampled_from([0, 9]),
    failed=st.integers(0, 3),
)


def of_partition(number: int) -> st.SearchStrategy[list[Message]]:
    """A log; the reports of an instance are in one partition, because they have the same key."""
    own = REPORTS.map(lambda one: one + ModelStatistics(instance=str(number)).SerializeToString())
    return st.lists(st.one_of(STATUSES, LETTERS, own), max_size=8)


LOGS = st.integers(1, 4).flatmap(lambda count: st.tuples(*map(of_partition, range(count))))


def everything(board: Board) -> list[object]:
    return [
        board.data_types(),
        *(board.versions(name) for name in board.names()),
        *(board.series(name) for name in board.names()),
        *(board.standing(name) for name in board.names()),
        *(board.dead_letters(data_type=name) for name in board.names()),
        board.dead_letters(),
        board.dead_letter_counts(),
    ]


def folded(messages: Iterable[tuple[Place, Message]]) -> Board:
    board = Board(lambda: 0)
    for place, message in messages:
        add(board, message, place)
    return board


@given(LOGS, st.data())
def test_partitions_may_be_read_in_any_order_and_again(
    logs: tuple[list[Message], ...], data: st.DataObject
) -> None:
    places = [[Place(number, offset) for offset in range(len(log))] for number, log in enumerate(logs)]
    straight = [pair for number, log in enumerate(logs) for pair in zip(places[number], log, strict=True)]
    mixed = []
    left = [list(zip(places[number], log, strict=True)) for number, log in enumerate(logs)]
    while any(left):
        number = data.draw(st.sampled_from([number for number, log in enumerate(left) if log]))
        mixed.append(left[number].pop(0))
        if data.draw(st.booleans()):
            mixed.append(data.draw(st.sampled_from(mixed)))
    assert everything(folded(mixed)) == everything(folded(straight))
