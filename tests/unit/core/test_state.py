"""State is bytes that a later version of this software still reads.

``tests/fixtures/state_v<N>_*.bin`` were written by the software whose schema version is N, and are never
written again. A new schema version adds files of its own, and so does a new field that readers can ignore.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.core.errors import IncompatibleState
from model_serving.core.messages import ModelToServe, ModelType, OutputRule, StoredContent
from model_serving.core.state import (
    SCHEMA_VERSION,
    Activation,
    DroppedObject,
    History,
    KeptVersion,
    decode_activation,
    decode_history,
    decode_model,
    decode_payloads,
    decode_reporters,
    encode_activation,
    encode_history,
    encode_model,
    encode_payloads,
    encode_reporters,
    model_key,
)

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"

MODEL = ModelToServe(
    data_type="vin rosé",
    name="forêt",
    model_type=ModelType.ONNX,
    version="2024-01",
    sha256="ab" * 32,
    content=b'\x00MS\x01{"not": "a header"}\xff',
    inputs=("pH", "alcohol"),
    output=OutputRule.VALUE,
)
Kinds = dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any], Any]]

WRITTEN_BY_VERSION_1: Kinds = {
    "model": (encode_model, decode_model, MODEL),
    "history": (
        encode_history,
        decode_history,
        History((KeptVersion("2023-12", "cd" * 32, "forêt"), KeptVersion("2024-01", "ab" * 32, "forêt")), 7),
    ),
    "activation": (
        encode_activation,
        decode_activation,
        Activation("vin rosé", 7, MODEL, previous="2023-12", detail="rolled back", load_ms=12.5),
    ),
    "removal": (encode_activation, decode_activation, Activation("vin rosé", 8, None, previous="2024-01")),
    "reporters": (encode_reporters, decode_reporters, frozenset({"broadcast 1", "keyed"})),
    "payloads": (encode_payloads, decode_payloads, [b"first", b"", b"\x00\xff third"]),
}
STORED = replace(
    MODEL, content=b"", stored=StoredContent("20260101T000000-0a1b/vin_ros_-00ff/" + "ab" * 32, 2**40)
)
CHOSEN = replace(MODEL, signature_name="prédire", result_output="probability(1)")
KNOWN = replace(MODEL, findings='{"by":"ab"}')
WRITTEN_BY_VERSION_2: Kinds = WRITTEN_BY_VERSION_1 | {
    "known_model": (encode_model, decode_model, KNOWN),
    "known_activation": (encode_activation, decode_activation, Activation("vin rosé", 7, KNOWN)),
    "stored_model": (encode_model, decode_model, STORED),
    "stored_activation": (
        encode_activation,
        decode_activation,
        Activation("vin rosé", 7, STORED, fallback=True),
    ),
    "stored_history": (
        encode_history,
        decode_history,
        History(
            (
                KeptVersion("2023-12", "cd" * 32, "forêt"),
                KeptVersion("2024-01", "ab" * 32, "forêt", "run/type/ab"),
            ),
            7,
            (DroppedObject("run/type/cd", 1_767_225_600_000), DroppedObject("run/type/ef", 0)),
        ),
    ),
}
WRITTEN_BY_VERSION_3: Kinds = WRITTEN_BY_VERSION_2 | {
    "chosen_model": (encode_model, decode_model, CHOSEN),
    "chosen_activation": (encode_activation, decode_activation, Activation("vin rosé", 7, CHOSEN)),
    "chosen_history": (
        encode_history,
        decode_history,
        History(
            (
                KeptVersion("2024-01", "ab" * 32, "forêt"),
                KeptVersion("2024-01", "ab" * 32, "forêt", "", "prédire", "probability(1)"),
            ),
            8,
        ),
    ),
}


def each(kinds: Kinds) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("kind", "encode", "decode", "value"),
        [(kind, *rest) for kind, rest in kinds.items()],
        ids=list(kinds),
    )


KINDS = each(WRITTEN_BY_VERSION_3)


@each(WRITTEN_BY_VERSION_1)
def test_what_version_1_wrote_is_still_read(
    kind: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], value: object
) -> None:
    assert decode((FIXTURES / f"state_v1_{kind}.bin").read_bytes()) == value


@each(WRITTEN_BY_VERSION_2)
def test_what_version_2_wrote_is_still_read(
    kind: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], value: object
) -> None:
    assert decode((FIXTURES / f"state_v2_{kind}.bin").read_bytes()) == value


@KINDS
def test_what_is_written_is_what_the_schema_version_says(
    kind: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], value: object
) -> None:
    """If the format changes, it needs a new schema version and new fixtures."""
    assert encode(value) == (FIXTURES / f"state_v{SCHEMA_VERSION}_{kind}.bin").read_bytes()


def test_the_layout_byte_by_byte() -> None:
    assert encode_payloads([b"ab", b"c"]) == b'MS\x03\x00\x00\x00\x11{"lengths":[2,1]}abc'


@KINDS
def test_what_a_newer_version_wrote_is_refused(
    kind: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], value: object
) -> None:
    written = bytearray(encode(value))
    written[2] = SCHEMA_VERSION + 1
    with pytest.raises(IncompatibleState) as refused:
        decode(bytes(written))
    assert str(refused.value).endswith(
        f"has schema version {SCHEMA_VERSION + 1}, this software reads up to {SCHEMA_VERSION}: "
        "restore it with the version that wrote it, or a later one"
    )


@KINDS
def test_bytes_of_another_program_are_refused(
    kind: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], value: object
) -> None:
    with pytest.raises(IncompatibleState, match="has schema version -1"):
        decode(b"PK" + encode(value)[2:])


def test_no_bytes_are_an_empty_history() -> None:
    history = decode_history(None)
    assert (history, history.active, history.find("v1")) == (History((), 0), None, None)


def test_the_last_kept_version_is_active() -> None:
    one, two = KeptVersion("1", "a", "m"), KeptVersion("2", "b", "m")
    history = History((one, two), 2)
    assert (history.active, history.find("1"), history.find("3")) == (two, one, None)


def test_a_version_with_another_signature_or_output_is_kept_under_another_key() -> None:
    choices = [("", ""), ("s", ""), ("", "s"), ("s", "o"), ("o", "s")]
    keys = [KeptVersion("1", "a", "m", "", *choice).key for choice in choices]
    assert keys[0] == "1"
    assert len(set(keys)) == len(choices)
    models = [replace(MODEL, version="1", signature_name=s, result_output=o) for s, o in choices]
    assert [model_key(model) for model in models] == keys


TEXTS = st.text(max_size=20)
MODELS = st.builds(
    ModelToServe,
    data_type=TEXTS,
    name=TEXTS,
    model_type=st.sampled_from(ModelType),
    version=TEXTS,
    sha256=TEXTS,
    content=st.binary(max_size=200),
    inputs=st.lists(TEXTS, max_size=3).map(tuple),
    output=st.sampled_from(OutputRule),
    stored=st.none() | st.builds(StoredContent, TEXTS, st.integers(0, 2**50)),
    signature_name=TEXTS,
    result_output=TEXTS,
)
KEPT = st.builds(KeptVersion, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
DROPPED = st.builds(DroppedObject, TEXTS, st.integers(0, 2**50))


@given(MODELS)
def test_models_come_back_as_they_were(model: ModelToServe) -> None:
    assert decode_model(encode_model(model)) == model


@given(
    st.builds(
        History,
        st.lists(KEPT, max_size=4).map(tuple),
        st.integers(0, 2**70),
        st.lists(DROPPED, max_size=4).map(tuple),
    )
)
def test_histories_come_back_as_they_were(history: History) -> None:
    assert decode_history(encode_history(history)) == history


@given(
    st.builds(
        Activation,
        data_type=TEXTS,
        sequence=st.integers(0, 2**70),
        model=st.none() | MODELS,
        previous=TEXTS,
        detail=TEXTS,
        load_ms=st.floats(allow_nan=False),
        fallback=st.booleans(),
    )
)
def test_activations_come_back_as_they_were(activation: Activation) -> None:
    assert decode_activation(encode_activation(activation)) == activation


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_waiting_records_come_back_as_they_were(payloads: list[bytes]) -> None:
    assert decode_payloads(encode_payloads(payloads)) == payloads
