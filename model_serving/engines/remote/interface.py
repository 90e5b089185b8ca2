"""What a served model takes and gives, as its server's metadata say; and how a protocol asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model_serving.core.model_servers.location import ServedLocation
from model_serving.engines.remote.connection import Answer
from model_serving.engines.tensors.inputs import TensorInput
from model_serving.engines.tensors.outputs import TensorOutput

__all__ = ["Interface", "ServedOutput", "ServingProtocol", "Tensor"]

Tensor = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ServedOutput:
    """An output of a served model. ``dtype`` is None for text, ``shape`` is None if the rank is not known."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | None, ...] | None

    @property
    def planned(self) -> TensorOutput:
        """The same for ``tensors.outputs``."""
        columns = None
        if self.shape is not None and len(self.shape) in (1, 2):
            columns = 1 if len(self.shape) == 1 else self.shape[1]
        is_text = self.dtype is None
        return TensorOutput(self.name, columns, self.dtype is not None and self.dtype.kind == "f", is_text)


@dataclass(frozen=True, slots=True)
class Interface:
    """The inputs and outputs of a served model.

    ``signature`` is the one that is asked for, where the protocol has them. ``ordered``: the order of
    ``inputs`` is the model's own. ``notes`` are warnings, a sentence each.
    """

    signature: str
    inputs: tuple[TensorInput, ...]
    outputs: tuple[ServedOutput, ...]
    ordered: bool
    notes: tuple[str, ...] = ()


class ServingProtocol(Protocol):
    """How a model server is asked. The methods only make and read texts; others send them."""

    @property
    def name(self) -> str:
        """The protocol, in words."""
        ...

    def status_path(self, location: ServedLocation) -> str:
        """Where to ask whether the model can score now."""
        ...

    def why_not_ready(self, answer: Answer) -> str:
        """Why the model cannot score now, from the answer of ``status_path``; empty if it can."""
        ...

    def metadata_path(self, location: ServedLocation) -> str:
        """Where to ask for the model's inputs and outputs."""
        ...

    def interface(self, body: bytes, signature_name: str) -> Interface:
        """Reads the answer of ``metadata_path``; ``signature_name`` is the message's.

        Raises:
            ModelRejected: the metadata cannot be used, or have no such signature.
        """
        ...

    def scoring_path(self, location: ServedLocation) -> str:
        """Where to send records."""
        ...

    def request(self, interface: Interface, tensors: Sequence[Tensor]) -> bytes:
        """The request to score n records, from the tensors of the interface's inputs, n rows each."""
        ...

    def outputs(self, interface: Interface, body: bytes, n: int) -> list[Tensor]:
        """The tensors of the interface's outputs for n records.

        Raises:
            ScoringFailed: the answer does not have them.
        """
        ...
