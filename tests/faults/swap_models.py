"""Small models of each engine, in any number of good and bad editions."""

from __future__ import annotations

from dataclasses import dataclass

from bench.model_editions import edition
from model_serving.client.model_files import pack_saved_model
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from tests.job_models import SAMPLES, Sample, sample_records

__all__ = ["ENGINES", "SwapModel"]


@dataclass(frozen=True, slots=True)
class SwapModel:
    """A small model of one engine, with its answers to the first sample records."""

    sample: Sample
    content: bytes

    @property
    def known(self) -> int:
        """The number of records with a known answer."""
        return len(self.sample.expected)

    def message(self, data_type: str, version: str, number: int) -> ModelDescriptor:
        """Returns an edition of the model."""
        return ModelDescriptor(
            name=self.sample.key,
            dataType=data_type,
            modeltype=self.sample.kind,
            version=version,
            data=edition(self.sample.kind, self.content, number),
        )

    def rejected(self, data_type: str, version: str, number: int, turn: int) -> ModelDescriptor:
        """Returns an edition that does not load or, in every second ``turn``, fails its example."""
        message = self.message(data_type, version, number)
        if turn % 2:
            message.data = f"no model {number}".encode()
        else:
            (record,) = sample_records(data_type, 1)
            message.examples.add(record=record.SerializeToString(), expected=-1.0)
        return message


def _with_derived_field(content: bytes) -> bytes:
    derived = (
        b'<LocalTransformations><DerivedField name="alcohol" optype="continuous" dataType="double">'
        b'<Apply function="if"><Apply function="isMissing"><FieldRef field="alcohol"/></Apply>'
        b'<Constant dataType="double">10</Constant><FieldRef field="alcohol"/></Apply>'
        b"</DerivedField></LocalTransformations>"
    )
    return content.replace(b"</MiningSchema>", b"</MiningSchema>" + derived, 1)


def _models() -> dict[str, SwapModel]:
    def model(key: str) -> SwapModel:
        sample = SAMPLES[key]
        path = sample.path
        return SwapModel(sample, pack_saved_model(path) if path.is_dir() else path.read_bytes())

    linear = model("linear-regression")
    return {
        "pmml": model("decision-tree"),
        "derived": SwapModel(linear.sample, _with_derived_field(linear.content)),
        "graph": model("frozen-graph"),
        "saved": model("saved-model"),
        "onnx": model("onnx-regression"),
    }


ENGINES = _models()
"""``derived`` is a PMML model that computes a field before it scores."""
