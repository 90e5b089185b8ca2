"""Signed model messages: which messages are admitted, and which key files are refused."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.admission.signing import check_signature, read_keys, sign
from model_serving.core.errors import ModelRejected
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
MESSAGE = ModelDescriptor(name="m", dataType="wine", data=b"<PMML/>").SerializeToString()


def test_a_signature_is_the_last_field_and_leaves_the_message_as_it_is() -> None:
    signed = sign(MESSAGE, KEY)
    digest = hmac.new(KEY, MESSAGE, hashlib.sha256).digest()
    assert signed == MESSAGE + b"\x6a\x20" + digest
    assert ModelDescriptor.FromString(signed) == ModelDescriptor(
        name="m", dataType="wine", data=b"<PMML/>", signature=digest
    )
    check_signature(signed, [KEY])
    check_signature(signed, [OTHER, KEY])


@pytest.mark.parametrize("message", [b"", MESSAGE, MESSAGE + b"\x6a\x20", sign(MESSAGE, KEY)[:-1]])
def test_an_unsigned_message_is_refused(message: bytes) -> None:
    with pytest.raises(ModelRejected) as rejected:
        check_signature(message, [KEY])
    assert str(rejected.value) == "the model message is not signed: publish it with --model-key-file"


def test_another_key_is_refused() -> None:
    with pytest.raises(ModelRejected) as rejected:
        check_signature(sign(MESSAGE, OTHER), [KEY])
    assert str(rejected.value) == (
        "the signature of the model message is not by a key of this job: the message was changed on its way, "
        "or published with another key"
    )


@given(place=st.integers(0, len(MESSAGE) + 33), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(place: int, bit: int) -> None:
    changed = bytearray(sign(MESSAGE, KEY))
    changed[place] ^= 1 << bit
    with pytest.raises(ModelRejected):
        check_signature(bytes(changed), [KEY])


@given(more=st.binary(min_size=1, max_size=80))
def test_nothing_can_be_added(more: bytes) -> None:
    for changed in (sign(MESSAGE, KEY) + more, more + sign(MESSAGE, KEY)):
        with pytest.raises(ModelRejected):
            check_signature(changed, [KEY])


def test_a_key_file_has_a_key_a_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# new\n{KEY.hex()}\n\n# old\n  {OTHER.hex().upper()}  \n")
    assert read_keys(str(file)) == (KEY, OTHER)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "'{file}' has no key in it: make one with `openssl rand -hex 32`"),
        (b"# nothing\n", "'{file}' has no key in it: make one with `openssl rand -hex 32`"),
        (
            b"\nsecret word\n",
            "line 2 of '{file}' is not a key of 32 or more hex digits: make one with `openssl rand -hex 32`",
        ),
        (
            b"00112233",
            "line 1 of '{file}' is not a key of 32 or more hex digits: make one with `openssl rand -hex 32`",
        ),
        (b"\xff\xfe", "'{file}' cannot be read (it is not UTF-8 text)"),
        (None, "'{file}' cannot be read (No such file or directory)"),
    ],
)
def test_a_wrong_key_file_is_one_line_that_shows_no_key(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"keys") as wrong:
        read_keys(str(file))
    assert str(wrong.value) == said.format(file=file)
