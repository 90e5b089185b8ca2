"""Encodes state, and messages between operators, as bytes with a schema version.

Layout: ``b"MS"``, the schema version (1 byte), the length of the header (4 bytes, big endian), the header
(UTF-8 JSON), the body. A reader takes every version up to its own and refuses newer ones.

Version 2 adds models whose content is in the model store, and the objects of that store that a data type has
dropped. Version 3 adds ``signature_name`` and ``result_output`` of a model: a reader that ignored them would
take the result from another output. Fields that a reader can ignore were added without a new version:
``fallback``, ``findings``, ``description``, ``reference``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from model_serving.core.errors import IncompatibleState
from model_serving.core.messages import ModelToServe, ModelType, OutputRule, StoredContent

__all__ = [
    "SCHEMA_VERSION",
    "Activation",
    "DroppedObject",
    "History",
    "KeptVersion",
    "decode_activation",
    "decode_history",
    "decode_model",
    "decode_payloads",
    "decode_reporters",
    "decode_waiting",
    "encode_activation",
    "encode_history",
    "encode_model",
    "encode_payloads",
    "encode_reporters",
    "model_key",
]

SCHEMA_VERSION = 3

_PREFIX = struct.Struct(">2sBI")
_MAGIC = b"MS"


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version that can serve a data type. Its content is not part of the history.

    ``stored`` is the path of its content in the model store; empty if the content is in state. The same
    version with another ``signature_name`` or ``result_output`` is another model, with a ``key`` of its own.
    """

    version: str
    sha256: str
    name: str
    stored: str = ""
    signature_name: str = ""
    result_output: str = ""

    @property
    def key(self) -> str:
        """What the model of this version is kept under."""
        return model_key(self)


@dataclass(frozen=True, slots=True)
class DroppedObject:
    """An object of the model store that no version has referred to since ``dropped_ms`` (epoch ms)."""

    path: str
    dropped_ms: int


@dataclass(frozen=True, slots=True)
class History:
    """The versions of one data type, oldest first; the last one serves.

    ``sequence`` counts the commands that were carried out, so that every activation has a number of its own.
    ``dropped`` are objects of the model store that are to be deleted once no checkpoint needs them any more.
    """

    kept: tuple[KeptVersion, ...] = ()
    sequence: int = 0
    dropped: tuple[DroppedObject, ...] = ()

    @property
    def active(self) -> KeptVersion | None:
        """The version that serves, or None."""
        return self.kept[-1] if self.kept else None

    def find(self, version: str) -> KeptVersion | None:
        """The kept version with this name, or None."""
        return next((kept for kept in self.kept if kept.version == version), None)


@dataclass(frozen=True, slots=True)
class Activation:
    """An order to the serving operators: serve ``model`` from now on, or stop serving if it is None.

    ``load_ms`` is how long loading, checking and warming up took, in milliseconds. ``fallback`` says that
    this is a model that served before and is brought back.
    """

    data_type: str
    sequence: int
    model: ModelToServe | None
    previous: str = ""
    detail: str = ""
    load_ms: float = 0.0
    fallback: bool = False


def model_key(model: ModelToServe | KeptVersion) -> str:
    """What a model is kept under: its version, and its signature and output if the message names them."""
    if not (model.signature_name or model.result_output):
        return model.version
    return f"{model.version}\0{model.signature_name}\0{model.result_output}"


def _encode(header: dict[str, Any], body: bytes = b"") -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return _PREFIX.pack(_MAGIC, SCHEMA_VERSION, len(text)) + text + body


def _decode(data: bytes, what: str) -> tuple[dict[str, Any], bytes]:
    magic, version, length = _PREFIX.unpack_from(data)
    if magic != _MAGIC or version > SCHEMA_VERSION:
        raise IncompatibleState(what, version if magic == _MAGIC else -1, SCHEMA_VERSION)
    end = _PREFIX.size + length
    return json.loads(data[_PREFIX.size : end]), data[end:]


def _model_header(model: ModelToServe) -> dict[str, Any]:
    header: dict[str, Any] = {
        "data_type": model.data_type,
        "name": model.name,
        "model_type": int(model.model_type),
        "version": model.version,
        "sha256": model.sha256,
        "inputs": model.inputs,
        "output": int(model.output),
    }
    if model.stored is not None:
        header["stored"] = [model.stored.path, model.stored.size]
    if model.findings:
        header["findings"] = model.findings
    if model.description:
        header["description"] = model.description
    if model.signature_name:
        header["signature_name"] = model.signature_name
    if model.result_output:
        header["result_output"] = model.result_output
    if model.reference:
        header["reference"] = model.reference
    return header


def _model_from(header: dict[str, Any], content: bytes) -> ModelToServe:
    return ModelToServe(
        data_type=header["data_type"],
        name=header["name"],
        model_type=ModelType(header["model_type"]),
        version=header["version"],
        sha256=header["sha256"],
        content=content,
        inputs=tuple(header["inputs"]),
        output=OutputRule(header["output"]),
        stored=StoredContent(*header["stored"]) if "stored" in header else None,
        findings=header.get("findings", ""),
        description=header.get("description", ""),
        signature_name=header.get("signature_name", ""),
        result_output=header.get("result_output", ""),
        reference=header.get("reference", ""),
    )


def encode_model(model: ModelToServe) -> bytes:
    """A model with its content, or with the path of its stored content."""
    return _encode(_model_header(model), model.content)


def decode_model(data: bytes) -> ModelToServe:
    """The inverse of :func:`encode_model`.

    Raises:
        IncompatibleState: a newer version of this software wrote it.
    """
    return _model_from(*_decode(data, "a model in state"))


def encode_history(history: History) -> bytes:
    """The versions of a data type, without their contents."""
    kept = [_kept_entry(version) for version in history.kept]
    dropped = [[gone.path, gone.dropped_ms] for gone in history.dropped]
    return _encode({"kept": kept, "sequence": history.sequence, "dropped": dropped})


def _kept_entry(version: KeptVersion) -> list[str]:
    entry = [version.version, version.sha256, version.name, version.stored]
    choice = [version.signature_name, version.result_output]
    return entry + choice if any(choice) else entry


def decode_history(data: bytes | None) -> History:
    """The inverse of :func:`encode_history`; None gives an empty history.

    Raises:
        IncompatibleState: a newer version of this software wrote it.
    """
    if data is None:
        return History()
    header, _ = _decode(data, "a model history in state")
    return History(
        tuple(KeptVersion(*entry) for entry in header["kept"]),
        header["sequence"],
        tuple(DroppedObject(*entry) for entry in header.get("dropped", ())),
    )


def encode_activation(activation: Activation) -> bytes:
    """An activation, with the model's content or the path of its stored content."""
    model = activation.model
    header = {
        "data_type": activation.data_type,
        "sequence": activation.sequence,
        "model": None if model is None else _model_header(model),
        "previous": activation.previous,
        "detail": activation.detail,
        "load_ms": activation.load_ms,
    }
    if activation.fallback:
        header["fallback"] = True
    return _encode(header, b"" if model is None else model.content)


def decode_activation(data: bytes) -> Activation:
    """The inverse of :func:`encode_activation`.

    Raises:
        IncompatibleState: a newer version of this software wrote it.
    """
    header, content = _decode(data, "an activation")
    model = None if header["model"] is None else _model_from(header["model"], content)
    return Activation(
        header["data_type"],
        header["sequence"],
        model,
        header["previous"],
        header["detail"],
        header["load_ms"],
        header.get("fallback", False),
    )


def encode_payloads(payloads: Sequence[bytes], origins: Sequence[int] | None = None) -> bytes:
    """Records that wait for a model, in their order; and their origins, where the host gives them."""
    header: dict[str, Any] = {"lengths": [len(payload) for payload in payloads]}
    if origins is not None:
        header["origins"] = list(origins)
    return _encode(header, b"".join(payloads))


def decode_payloads(data: bytes) -> list[bytes]:
    """The payloads of :func:`encode_payloads`.

    Raises:
        IncompatibleState: a newer version of this software wrote it.
    """
    return decode_waiting(data)[0]


def decode_waiting(data: bytes) -> tuple[list[bytes], list[int] | None]:
    """The payloads and the origins of :func:`encode_payloads`.

    Raises:
        IncompatibleState: a newer version of this software wrote it.
    """
    header, body = _decode(data, "waiting records in state")
    payloads: list[bytes] = []
    start = 0
    for length in header["lengths"]:
        payloads.append(body[start : start + length])
        start += length
    return payloads, header.get("origins")


def encode_reporters(reporters: Collection[str]) -> bytes:
    """The reporters that have carried out an activation."""
    return _encode({"reporters": sorted(reporters)})


def decode_reporters(data: bytes | None) -> frozenset[str]:
    """The inverse of :func:`encode_reporters`; None gives no reporters.

    Raises:
        IncompatibleState: a newer version of this software wrote it.
    """
    if data is None:
        return frozenset()
    header, _ = _decode(data, "reports of a swap in state")
    return frozenset(header["reporters"])
