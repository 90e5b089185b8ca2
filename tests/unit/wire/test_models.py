"""Reading of model messages, also with fields that are unset, unknown or empty."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_serving.core.errors import ModelRejected, UnparsableMessage
from model_serving.core.messages import Command, Example, ModelMessage, ModelType, OutputRule
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.wire import parse_descriptor, read_model

OLD_PRODUCER = (
    b"\x0a\x06forest"  # field 1, wire type 2: name
    b"\x12\x03any"  # 2: description
    b"\x1a\x04wine"  # 3: dataType
    b"\x20\x02"  # field 4, wire type 0: modeltype PMML
    b"\x2a\x06<PMML>"  # 5: data
)
"""The message of a producer that knows only the first six fields."""

BY_LOCATION = (
    b"\x0a\x05saved"
    b"\x1a\x04wine"
    b"\x20\x01"
    b"\x32\x0ddata/saved/1/"  # 6: location
)

EVERYTHING = (
    OLD_PRODUCER
    + b"\x3a\x02v7"  # 7: version
    + b"\x42\x04AB12"  # 8: sha256
    + b"\x48\x00"  # field 9, wire type 0: command DEPLOY, written though it is the default
    + b"\x52\x02pH\x52\x07alcohol"  # 10: inputs, repeated
    + b"\x58\x02"  # 11: output VALUE
    + b"\x62\x16" + b"\x0a\x02\x00\xff" + b"\x11" + struct.pack("<d", 5.5) + b"\x19" + struct.pack("<d", 0.25)
    + b"\x62\x09" + b"\x11" + struct.pack("<d", -1.0)  # 12: examples, the second with an expected value only
    + b"\x72\x07predict"  # 14: signature_name
    + b"\x7a\x04dose"  # 15: result_output
)  # fmt: skip

READ = {
    OLD_PRODUCER: ModelMessage("wine", "forest", ModelType.PMML, data=b"<PMML>", description="any"),
    BY_LOCATION: ModelMessage("wine", "saved", ModelType.TENSORFLOWSAVED, location="data/saved/1/"),
    EVERYTHING: ModelMessage(
        data_type="wine",
        name="forest",
        model_type=ModelType.PMML,
        data=b"<PMML>",
        version="v7",
        sha256="AB12",
        inputs=("pH", "alcohol"),
        output=OutputRule.VALUE,
        examples=(Example(b"\x00\xff", 5.5, 0.25), Example(b"", -1.0, 0.0)),
        description="any",
        signature_name="predict",
        result_output="dose",
    ),
    b"\x1a\x04wine\x48\x01": ModelMessage("wine", command=Command.REMOVE),
    b"\x1a\x04wine\x48\x02": ModelMessage("wine", command=Command.ROLLBACK),
    b"\x1a\x04wine": ModelMessage("wine", data=None, location=None),
    b"\x1a\x04wine\x2a\x00": ModelMessage("wine", data=b""),
    b"\x1a\x04wine\x32\x00": ModelMessage("wine", location=""),
    # The last member of a oneof wins.
    b"\x1a\x04wine\x2a\x01m\x32\x01/": ModelMessage("wine", location="/"),
    b"\x1a\x04wine\x32\x01/\x2a\x01m": ModelMessage("wine", data=b"m"),
    # Fields that are not known: 100 as bytes, 101 as a varint.
    b"\xa2\x06\x03abc" + OLD_PRODUCER + b"\xa8\x06\x05": ModelMessage(
        "wine", "forest", ModelType.PMML, data=b"<PMML>", description="any"
    ),
}


@pytest.mark.parametrize(("payload", "message"), READ.items())
def test_a_message_written_by_hand_is_read(payload: bytes, message: ModelMessage) -> None:
    assert read_model(parse_descriptor(payload)) == message


def test_the_generated_code_writes_the_same_bytes() -> None:
    old = ModelDescriptor(
        name="forest", description="any", dataType="wine", modeltype=ModelDescriptor.PMML, data=b"<PMML>"
    )
    assert old.SerializeToString(deterministic=True) == OLD_PRODUCER
    by_location = ModelDescriptor(
        name="saved", dataType="wine", modeltype=ModelDescriptor.TENSORFLOWSAVED, location="data/saved/1/"
    )
    assert by_location.SerializeToString(deterministic=True) == BY_LOCATION
    new = ModelDescriptor(
        version="v7",
        sha256="AB12",
        inputs=["pH", "alcohol"],
        output=ModelDescriptor.VALUE,
        examples=[
            ModelDescriptor.Example(record=b"\x00\xff", expected=5.5, tolerance=0.25),
            ModelDescriptor.Example(expected=-1.0),
        ],
        signature_name="predict",
        result_output="dose",
    )
    written = new.SerializeToString(deterministic=True)
    assert written == EVERYTHING.removeprefix(OLD_PRODUCER).replace(b"\x48\x00", b"", 1)


MODEL_TYPES = "use one of TENSORFLOW=0, TENSORFLOWSAVED=1, PMML=2, ONNX=3, TFSERVING=4, OPENINFERENCE=5"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "the model message has no dataType: say which records the model scores"),
        (b"\x0a\x01m\x2a\x01m", "the model message has no dataType: say which records the model scores"),
        (
            b"\x1a\x04wine\x20\x07",
            f"modeltype 7 is not known: {MODEL_TYPES}",
        ),
        (b"\x1a\x04wine\x48\x03", "command 3 is not known: use one of DEPLOY=0, REMOVE=1, ROLLBACK=2"),
        (b"\x1a\x04wine\x58\x09", "output 9 is not known: use one of AUTO=0, ARGMAX=1, VALUE=2"),
        (
            b"\x1a\x04wine\x20" + b"\xff" * 9 + b"\x01",
            f"modeltype -1 is not known: {MODEL_TYPES}",
        ),
        # A record on the models topic: its dataType is field 12, which is not a text field here.
        (
            WineRecord(pH=3.5, alcohol=9.4).SerializeToString(),
            (
                "field command is sent as fixed64 (a double?), ModelDescriptor declares enum Command (and 1 "
                "more are sent with another type): send each field with its declared type"
            ),
        ),
    ],
)
def test_a_message_that_is_no_model_is_rejected(payload: bytes, said: str) -> None:
    with pytest.raises(ModelRejected) as rejected:
        read_model(parse_descriptor(payload))
    assert str(rejected.value) == said


@pytest.mark.parametrize(
    "payload",
    [
        EVERYTHING[:-1],
        b"\x0a\x05abc",
        b"\x1a\x01\xff",
        b"\x62\x02\x0a\x05",
        b"junk",
        WineRecord(pH=3.5, dataType="wine").SerializeToString(),
    ],
)
def test_bytes_that_are_no_message_are_unparsable(payload: bytes) -> None:
    with pytest.raises(UnparsableMessage, match=r"^not a ModelDescriptor message: [^\n]+$"):
        parse_descriptor(payload)


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda start, length, put: EVERYTHING[:start] + put + EVERYTHING[start + length :],
        st.integers(0, len(EVERYTHING)),
        st.integers(0, 12),
        st.binary(max_size=6),
    )
)
@example(EVERYTHING)
def test_whatever_comes_is_a_model_message_or_one_of_two_errors(payload: bytes) -> None:
    outcome: ModelMessage | str
    try:
        outcome = read_model(parse_descriptor(payload))
    except (UnparsableMessage, ModelRejected) as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert len(outcome.splitlines()) == 1
    else:
        assert outcome.data_type
        assert outcome.data is None or outcome.location is None


@pytest.mark.parametrize("field", ["name", "version", "dataType", "signature_name", "result_output"])
def test_a_text_that_results_or_state_hold_has_a_bound(field: str) -> None:
    texts: dict[str, Any] = {"name": "forest", "version": "v1", "dataType": "wine"}
    read_model(ModelDescriptor(**(texts | {field: "x" * 1024})))
    with pytest.raises(ModelRejected) as caught:
        read_model(ModelDescriptor(**(texts | {field: "ü" * 513})))
    assert str(caught.value) == f"{field} has 1,026 bytes: use at most 1,024"
