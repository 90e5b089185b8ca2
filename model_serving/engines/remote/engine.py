"""The engines for models that a model server scores: a model like any other, whose ``score`` is a request.

The content of such a model is its location (``core.model_servers.location``). A model that is admitted is
looked at: its server is asked for status and metadata, and scores a few records. What this finds is kept in
the model's findings, so that a later load asks nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from model_serving.core.engine import (
    Columns,
    InputDescription,
    LoadedModel,
    ModelDescription,
    RecordSchema,
    Scores,
)
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelToServe
from model_serving.core.model_servers.location import read_location
from model_serving.engines.foreign_errors import rejecting
from model_serving.engines.limits import Limits
from model_serving.engines.remote.access import ModelAccess
from model_serving.engines.remote.findings import findings_of, read_findings
from model_serving.engines.remote.interface import Interface, ServingProtocol, Tensor
from model_serving.engines.remote.openinference import OpenInference
from model_serving.engines.remote.tfserving import TfServing
from model_serving.engines.tensors.inputs import Feed, TensorInputs
from model_serving.engines.tensors.model import (
    Run,
    TensorModel,
    Tried,
    tried_model,
    tried_outputs,
    tried_together,
)
from model_serving.engines.tensors.outputs import TensorOutput
from model_serving.engines.tensors.pairing import plan_inputs

__all__ = ["MOST_RECORDS", "OpenInferenceEngine", "RemoteModel", "TfServingEngine"]

MOST_RECORDS = 256
"""How many records one request has at most. More of them go in several requests at the same time."""

_DOUBLE = np.dtype(np.float64)
_PROBE = (1.0, "a")
"""The number and the text in the records that show whether an input's values come back."""


class RemoteModel:
    """A model that its server scores: see ``LoadedModel``. ``reach`` says whether it can be asked now."""

    def __init__(
        self, model: TensorModel, access: ModelAccess, findings: str, inputs: tuple[InputDescription, ...]
    ) -> None:
        """``inputs`` are described with the types that the server states."""
        self._model = model
        self._access = access
        self.findings = findings
        self.description = replace(model.description, inputs=inputs)

    @property
    def fields(self) -> tuple[str, ...]:
        """See ``LoadedModel``."""
        return self._model.fields

    def score(self, columns: Columns) -> Scores:
        """See ``LoadedModel``. A row that cannot be scored fails all of them."""
        return self._model.score(columns)

    def reach(self) -> None:
        """Returns at once, and touches the server only to see whether it is back.

        Raises:
            Unavailable: the server is out of reach; ``retry_ms`` says when to ask again.
        """
        self._access.reach()

    def close(self) -> None:
        """See ``LoadedModel``."""
        self._model.close()


class _RemoteEngine:
    """Loads the models of one protocol."""

    protocol: ServingProtocol

    def __init__(self, limits: Limits) -> None:
        self._settings = limits.remote

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``."""
        with rejecting("the location is not UTF-8 text"):
            text = model.content.decode()
        location = read_location(text, model.model_type)
        access = ModelAccess(location, self.protocol, self._settings)
        try:
            found = read_findings(model.findings)
            if found is None:
                access.ready()
                interface = self.protocol.interface(access.metadata(), model.signature_name)
            else:
                interface, tried = found
            stated = plan_inputs(interface.inputs, model.inputs, schema, ordered=interface.ordered)
            inputs = _with_doubles(stated)
            if found is None:
                interface, tried = self._look(access, interface, inputs)
            description = ModelDescription(
                kind=" ".join(("model served by", self.protocol.name, _of_signature(interface))).rstrip(),
                evaluator=str(location),
                notes=interface.notes,
            )
            loaded = tried_model(
                lambda places: _run(self.protocol, access, interface, places),
                inputs,
                tried,
                model,
                access.close,
                description,
            )
            return RemoteModel(loaded, access, findings_of(interface, tried), stated.described)
        except BaseException:
            access.close()
            raise

    def _look(
        self, access: ModelAccess, interface: Interface, inputs: TensorInputs
    ) -> tuple[Interface, Tried]:
        """Scores a few records: whether the model can, its outputs' columns, whether batches matter."""
        if not interface.outputs and isinstance(self.protocol, OpenInference):
            body = self.protocol.request(interface, inputs.feeds(inputs.trial()))
            try:
                outputs = self.protocol.stated_outputs(access.score([body])[0])
            except ScoringFailed as error:
                raise ModelRejected(f"trying the model with zeros: {error}") from error
            interface = replace(interface, outputs=outputs)
        run = _run(self.protocol, access, interface, range(len(interface.outputs)))
        tried = tried_outputs(run, inputs, [output.planned for output in interface.outputs])
        tried = tried_together(run, inputs, tried)
        return interface, replace(tried, outputs=_marked(run, inputs, interface, tried))


class TfServingEngine(_RemoteEngine):
    """Loads models that a TensorFlow Serving scores."""

    protocol = TfServing()


class OpenInferenceEngine(_RemoteEngine):
    """Loads models that a server of the Open Inference Protocol scores."""

    protocol = OpenInference()


def _of_signature(interface: Interface) -> str:
    return f"(signature {interface.signature})" if interface.signature else ""


def _marked(run: Run, inputs: TensorInputs, interface: Interface, tried: Tried) -> tuple[TensorOutput, ...]:
    """Returns the outputs that were read, those marked that repeat an input, such as a key.

    The graph of the model is out of sight. An output repeats the input of its name and type if its values
    come back, or if that cannot be tried.
    """
    taken = {(tensor.name, tensor.dtype): place for place, tensor in enumerate(interface.inputs)}
    sources = [taken.get((output.name, output.dtype)) for output in interface.outputs]
    if all(place is None for place in sources):
        return tried.outputs
    came_back = {place for place, source in enumerate(sources) if source is not None}
    with suppress(ScoringFailed):
        feeds = inputs.feeds(inputs.trial(*_PROBE))
        answers = run(feeds)
        came_back = {
            place
            for place, source in enumerate(sources)
            if source is not None and np.array_equal(answers[place].ravel(), feeds[source].ravel())
        }
    return tuple(
        replace(output, computed=place not in came_back)
        for output, place in zip(tried.outputs, tried.places, strict=True)
    )


def _with_doubles(inputs: TensorInputs) -> TensorInputs:
    """The same inputs, floats as doubles: these are shorter as text, and the server rounds them as well."""
    parts = tuple(
        Feed(replace(part.tensor, dtype=_DOUBLE), part.places, part.sizes)
        if part.tensor.dtype is not None and part.tensor.dtype.kind == "f"
        else part
        for part in inputs.parts
    )
    return TensorInputs(inputs.fields, parts, inputs.batch)


def _run(protocol: ServingProtocol, access: ModelAccess, interface: Interface, places: Sequence[int]) -> Run:
    """Scores records by requests of at most ``MOST_RECORDS``, and gives the outputs at ``places``."""
    wanted = replace(interface, outputs=tuple(interface.outputs[place] for place in places))

    def run(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        n = len(tensors[0])
        if n <= MOST_RECORDS:
            (body,) = access.score([protocol.request(wanted, tensors)])
            return protocol.outputs(wanted, body, n)
        starts = range(0, n, MOST_RECORDS)
        bodies = [
            protocol.request(wanted, [tensor[at : at + MOST_RECORDS] for tensor in tensors]) for at in starts
        ]
        parts = [
            protocol.outputs(wanted, body, min(MOST_RECORDS, n - at))
            for at, body in zip(starts, access.score(bodies), strict=True)
        ]
        return [np.concatenate(of_output) for of_output in zip(*parts, strict=True)]

    return run
