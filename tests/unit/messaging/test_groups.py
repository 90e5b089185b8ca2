"""What a member of a consumer group was given, read from Kafka's bytes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from model_serving.messaging.groups import GroupMember, members_at_rest, members_of, partitions_by_topic
from tests.fake_kafka import failure

TWO_TOPICS = bytes.fromhex(
    "0003"  # version
    "00000002"
    "0001 61 00000002 00000000 00000005"  # topic a: 0 and 5
    "0002 6262 00000001 00000001"  # topic bb: 1
    "00000004 deadbeef"  # data of the assignor
)


class Kafka:
    """One group, as Kafka's client tells it."""

    def __init__(self, state: str = "Stable", protocol_type: str = "consumer", given: bytes = b"") -> None:
        member = SimpleNamespace(client_id="somebody", assignment=given)
        self.told = [SimpleNamespace(state=state, protocol_type=protocol_type, members=[member])]

    def list_groups(self, group: str, timeout: float) -> list[SimpleNamespace]:
        return self.told


def test_the_partitions_of_each_topic_are_read_and_what_follows_is_left() -> None:
    assert partitions_by_topic(TWO_TOPICS) == {"a": {0, 5}, "bb": {1}}


def test_a_member_that_was_given_nothing_has_no_bytes_or_no_topics() -> None:
    assert partitions_by_topic(b"") == {}
    assert partitions_by_topic(bytes.fromhex("0000 00000000 ffffffff")) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(b"\0", id="ends in the version"),
        pytest.param(TWO_TOPICS[:12], id="ends in a topic"),
        pytest.param(bytes.fromhex("0000 00000001 ffff 00000000"), id="a name of less than nothing"),
        pytest.param(bytes.fromhex("0000 00000001 0001 61 ffffffff"), id="fewer than no partitions"),
        pytest.param(bytes.fromhex("0000 00000001 0001 61 7fffffff"), id="far too many partitions"),
        pytest.param(bytes.fromhex("0000 00000001 0001 ff 00000000"), id="a name that is no text"),
    ],
)
def test_bytes_that_end_too_early_or_lie_are_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        partitions_by_topic(wrong)


def test_members_are_told_when_the_group_is_at_rest() -> None:
    at_rest = members_at_rest(Kafka(given=TWO_TOPICS), "group", timeout_s=1)  # type: ignore[arg-type]
    assert at_rest == [GroupMember("somebody", {"a": frozenset({0, 5}), "bb": frozenset({1})})]


@pytest.mark.parametrize(
    "kafka",
    [
        pytest.param(Kafka(state="PreparingRebalance"), id="shares"),
        pytest.param(Kafka(protocol_type="connect", given=b"tasks"), id="shares something else"),
    ],
)
def test_a_group_that_is_not_at_rest_or_shares_no_partitions_tells_none(kafka: Kafka) -> None:
    assert members_at_rest(kafka, "group", timeout_s=1) is None  # type: ignore[arg-type]


def test_no_group_has_no_members() -> None:
    nobody = Kafka()
    nobody.told = []
    assert members_at_rest(nobody, "group", timeout_s=1) is None  # type: ignore[arg-type]
    assert members_of(nobody, ["group"], timeout_s=1) == {}  # type: ignore[arg-type]


def test_groups_with_members_are_told_with_their_clients() -> None:
    kafka = Kafka()
    kafka.told[0].members = [SimpleNamespace(client_id=one) for one in ("b", "a", "b")]
    assert members_of(kafka, ["one", "two"], timeout_s=1) == {"one": ["a", "b"], "two": ["a", "b"]}  # type: ignore[arg-type]


def test_without_an_answer_nothing_is_known_of_members(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(group: str, timeout: float) -> None:
        raise failure(KafkaError._TRANSPORT)

    away = Kafka()
    monkeypatch.setattr(away, "list_groups", refuse)
    assert members_of(away, ["group"], timeout_s=1) is None  # type: ignore[arg-type]
    with pytest.raises(KafkaException):
        members_at_rest(away, "group", timeout_s=1)  # type: ignore[arg-type]
