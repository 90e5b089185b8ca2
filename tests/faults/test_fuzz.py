"""Whatever bytes come: the wire layer refuses with its own errors, and no model ends the process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_serving.core.admission.signing import check_signature, sign
from model_serving.core.errors import (
    IncompatibleState,
    InvalidRecord,
    ModelRejected,
    UnparsableMessage,
)
from model_serving.core.messages import ModelToServe, ModelType, OutputRule
from model_serving.core.state import (
    SCHEMA_VERSION,
    Activation,
    History,
    KeptVersion,
    decode_activation,
    decode_history,
    decode_model,
    decode_payloads,
    encode_activation,
    encode_history,
    encode_model,
    encode_payloads,
)
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.wire import RecordCodec, parse_descriptor, read_model
from tests.job_models import sample_records
from tests.mutations import mutated

ROOT = Path(__file__).resolve().parents[2]
MINUTES = float(os.environ.get("FUZZ_MINUTES", "0.15"))
"""Three quarters for the loaders, one for the wire layer."""

SEED = int(os.environ.get("FUZZ_SEED", "1"))
KEY = bytes(range(32))
CODECS = {
    name: RecordCodec(name)
    for name in (
        "model_serving.protos.winerecord_pb2:WineRecord",
        "tests.protos.sensorreading_pb2:SensorReading",
    )
}
MODEL = ModelToServe("wine", "m", ModelType.PMML, "1", "0" * 64, b"x" * 30, ("alcohol",), OutputRule.AUTO)


def records() -> list[bytes]:
    return [record.SerializeToString() for record in sample_records("wine", 20)]


def descriptors() -> list[bytes]:
    message = ModelDescriptor(
        name="m",
        description="d",
        dataType="wine",
        modeltype="PMML",
        data=b"<PMML/>",
        version="1",
        output="VALUE",
    )
    message.inputs.extend(["alcohol", "pH"])
    message.examples.add(record=b"record", expected=1.0, tolerance=0.1)
    by_location = ModelDescriptor(dataType="wine", location="file:///m", sha256="0" * 64, command="ROLLBACK")
    return [sign(one.SerializeToString(), KEY) for one in (message, by_location)]


def read_records(payload: bytes) -> None:
    source = random.Random(len(payload))
    for codec in CODECS.values():
        # Alone, and among so many of one length that they are read as a table.
        among = [payload] + [mutated(payload, source, [payload])[: len(payload)] for _ in range(12)]
        for payloads in ([payload], among, [payload] * 12):
            decoded = codec.decode(payloads)
            count = sum(len(batch.payloads) for batch in decoded.batches)
            assert count + len(decoded.refused) == len(payloads)
            assert all(isinstance(error, (UnparsableMessage, InvalidRecord)) for _, error in decoded.refused)
            if decoded.batches:
                sent = codec.unpack(codec.pack(decoded.batches))
                assert [batch.payloads for batch in sent] == [batch.payloads for batch in decoded.batches]


def read_descriptor(payload: bytes) -> None:
    try:
        descriptor = parse_descriptor(payload)
        read_model(descriptor)
    except (UnparsableMessage, ModelRejected):
        pass


def read_signature(payload: bytes) -> None:
    whole = descriptors()
    try:
        check_signature(payload, (KEY,))
    except ModelRejected:
        assert payload not in whole
    else:
        assert payload in whole


READERS: list[tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = [
    (read_records, records),
    (read_descriptor, descriptors),
    (read_signature, descriptors),
]


@pytest.mark.timeout(0)
@pytest.mark.parametrize(("read", "samples"), READERS, ids=[read.__name__ for read, _ in READERS])
def test_the_wire_layer(read: Callable[[bytes], None], samples: Callable[[], list[bytes]]) -> None:
    valid = samples()
    for payload in valid:
        read(payload)
    deadline = time.monotonic() + MINUTES * 60 / 4 / len(READERS)
    seed = SEED
    while time.monotonic() < deadline:
        source = random.Random(seed)
        payload = (
            source.randbytes(source.randrange(300))
            if seed % 4 == 0
            else mutated(source.choice(valid), source, valid)
        )
        try:
            read(payload)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {payload.hex()}") from error
        seed += 1
    assert seed - SEED > 20


@pytest.mark.parametrize(
    ("decode", "encoded"),
    [
        (decode_model, encode_model(MODEL)),
        (decode_history, encode_history(History((KeptVersion("1", "0" * 64, "m"),), 3))),
        (decode_activation, encode_activation(Activation("wine", 1, MODEL))),
        (decode_payloads, encode_payloads([b"one", b"two"])),
    ],
)
def test_state_of_another_version_is_refused_whatever_is_in_it(
    decode: Callable[[bytes], Any], encoded: bytes
) -> None:
    """State comes from this program; what is tested is that a newer version's is never half understood."""
    decode(encoded)
    for seed in range(200):
        newer = (
            encoded[:2]
            + bytes([SCHEMA_VERSION + 1 + seed % (255 - SCHEMA_VERSION)])
            + mutated(encoded[3:], random.Random(seed), [encoded])
        )
        if len(newer) >= 7:
            with pytest.raises(IncompatibleState):
                decode(newer)


@pytest.mark.timeout(0)
def test_the_loaders() -> None:
    seconds = MINUTES * 60 * 3 / 4
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.fuzz_loaders", str(seconds), str(SEED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds + 400,  # on a busy machine TensorFlow alone takes a minute to import
        check=False,
    )
    told = ended.stdout.splitlines()[-1:]
    assert ended.returncode == 0, f"exit status {ended.returncode} after {told}: {ended.stderr[-2000:]}"
    assert " cases: " in told[0]
