"""A large content is cut out of its message; what is read is the same as with protobuf's own library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.errors import ModelRejected, UnparsableMessage
from model_serving.core.messages import Envelope, ModelMessage
from model_serving.core.protobuf_fields import bytes_field, tag, varint
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.wire import ModelMessages, contents

LARGE = b"x" * 70_000
HEAD = ModelDescriptor(name="m", dataType="wine", modeltype=ModelDescriptor.PMML).SerializeToString()
TAIL = ModelDescriptor(version="7", inputs=["a", "b"], output=ModelDescriptor.VALUE).SerializeToString()
FRAME = b"\0\0\0\0\x01\0"
DATA = bytes_field(5, LARGE)


def read(payload: bytes) -> tuple[Envelope, ModelMessage] | str:
    try:
        opened = ModelMessages().open(payload)
        return opened.envelope, opened.read()
    except (UnparsableMessage, ModelRejected) as error:
        return str(error)


def read_whole(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[Envelope, ModelMessage] | str:
    with monkeypatch.context() as patch:
        patch.setattr(contents, "_SMALL", len(payload))
        assert contents.cut_content(payload, 0) == (payload, None)
        return read(payload)


@pytest.mark.parametrize("frame", [b"", FRAME])
def test_the_content_is_not_in_what_protobuf_parses(frame: bytes) -> None:
    rest, content = contents.cut_content(frame + HEAD + DATA + TAIL, len(frame))
    assert content is not None
    assert (rest, bytes(content)) == (frame + HEAD + TAIL, LARGE)
    found = read(frame + HEAD + DATA + TAIL)
    assert not isinstance(found, str)
    assert (found[0].size, found[1].data, found[1].inputs) == (len(LARGE), LARGE, ("a", "b"))


@pytest.mark.parametrize(
    "payload",
    [
        DATA + DATA,
        DATA + bytes_field(6, b"data/m.pmml"),
        bytes_field(6, b"data/m.pmml") + DATA,
        DATA + tag(99, 3) + tag(99, 4),
        DATA + b"\x08" * 2000,
        DATA + varint(8) * 3,
        DATA[:-1],
        tag(5, 0) + varint(1) + bytes_field(2, LARGE),
        bytes_field(2, LARGE),
        bytes_field(2, b"a") * 1001 + DATA,
        LARGE,
    ],
    ids=range(11),
)
def test_a_message_with_anything_unusual_is_parsed_as_a_whole(
    payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert contents.cut_content(HEAD + payload, 0) == (HEAD + payload, None)
    assert read(HEAD + payload) == read_whole(HEAD + payload, monkeypatch)


FIELDS = st.sampled_from(
    (
        HEAD,
        TAIL,
        DATA,
        bytes_field(6, b"data/m.pmml"),
        bytes_field(12, bytes_field(1, b"record") + tag(2, 1) + b"\0" * 8),
        bytes_field(77, b"unknown"),
        tag(78, 1) + b"\0" * 8,
        tag(79, 5) + b"\0" * 4,
        tag(80, 0) + varint(-1),
        tag(5, 0) + varint(3),
        tag(3, 0) + varint(3),
        b"\x0a\xff",
        b"\xff\xff",
    )
)


@given(fields=st.lists(FIELDS, max_size=5), cut=st.integers(0, 3))
def test_any_message_is_read_the_same(fields: list[bytes], cut: int) -> None:
    payload = b"".join(fields)
    payload = payload[: len(payload) - cut]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "_SMALL", 0)
        found = read(payload)
    with pytest.MonkeyPatch.context() as patch:
        assert found == read_whole(payload, patch)
