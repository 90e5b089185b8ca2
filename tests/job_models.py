"""Models and records for the jobs, as any producer would write them."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord

__all__ = [
    "SAMPLES",
    "Sample",
    "constant_model",
    "constant_pmml",
    "narrow_pmml",
    "needs_seed_data",
    "regression_pmml",
    "sample_records",
    "seed_data",
    "table_onnx",
    "wine",
]

_ROOT = Path(__file__).resolve().parents[1]
_FEATURES = tuple(
    field.name for field in WineRecord.DESCRIPTOR.fields if field.name not in {"dataType", "ts"}
)


def seed_data() -> Path:
    """Returns the folder of real models and records, if it exists."""
    return Path(os.environ.get("MODEL_SERVING_SEED_DATA", _ROOT.parent / "shared" / "seed-data"))


needs_seed_data = pytest.mark.skipif(
    not (seed_data() / "golden.json").is_file(), reason=f"seed data not found ({seed_data()})"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample model, with the results that it must give for the first sample records."""

    key: str
    path: Path
    kind: str
    expected: tuple[float, ...]
    tolerance: float

    def message(self, data_type: str, **more: Any) -> ModelDescriptor:
        """Returns the message of the model for a data type: a folder by location, a file by content."""
        content: dict[str, Any] = (
            {"location": str(self.path)} if self.path.is_dir() else {"data": self.path.read_bytes()}
        )
        return ModelDescriptor(name=self.key, dataType=data_type, modeltype=self.kind, **{**content, **more})


def _samples() -> dict[str, Sample]:
    manifest = json.loads((_ROOT / "data" / "MANIFEST.json").read_text(encoding="utf-8"))
    samples = {}
    for entry in manifest["models"]:
        key = entry["name"].removeprefix("wine ").replace(" ", "-")
        samples[key] = Sample(
            key,
            _ROOT / "data" / entry["file"],
            entry["modeltype"],
            tuple(entry["expected"]),
            # Single precision models differ from the evaluator's double precision.
            entry["tolerance"],
        )
    return samples


SAMPLES = _samples()


def sample_records(data_type: str, count: int, *, first_ts: int = 1) -> list[WineRecord]:
    """Returns ``count`` sample records, from the start again at the end; ``ts`` counts from ``first_ts``."""
    rows = _sample_rows()
    return [wine(rows[index % len(rows)], data_type, first_ts + index) for index in range(count)]


@cache
def _sample_rows() -> list[list[str]]:
    # Some tests ask for thousands of records, one by one.
    with (_ROOT / "data" / "records.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=";"))[1:]


def wine(row: Sequence[str | float], data_type: str, ts: int) -> WineRecord:
    """Returns a record with these features, in field order; a label after them is left out."""
    values = dict(zip(_FEATURES, map(float, row), strict=False))
    return WineRecord(**values, dataType=data_type, ts=ts)


def constant_pmml(value: float, *, field: str = "alcohol", padding: int = 0) -> bytes:
    """Returns a regression that always answers ``value``, with ``padding`` bytes of comment."""
    return regression_pmml(value, {field: 0.0}, comment="x" * padding)


def constant_model(data_type: str, value: float, **more: Any) -> ModelDescriptor:
    """Returns a model that answers ``value``, which is its version too."""
    fields: dict[str, Any] = {
        "name": "constant",
        "dataType": data_type,
        "modeltype": "PMML",
        "version": f"v{value:g}",
        "data": constant_pmml(value),
    }
    return ModelDescriptor(**{**fields, **more})


def narrow_pmml(value: float) -> bytes:
    """Returns a regression that answers ``value`` if alcohol is from 0 to 10, and has no result otherwise."""
    field = b'<DataField name="alcohol" optype="continuous" dataType="double"'
    interval = b'<Interval closure="closedClosed" leftMargin="0" rightMargin="10"/>'
    wide = constant_pmml(value)
    assert field in wide
    return wide.replace(field + b"/>", field + b">" + interval + b"</DataField>")


def table_onnx(first: int, values: Sequence[float]) -> bytes:
    """Returns an ONNX model that looks up ``values`` by alcohol, whose whole part is ``first`` for the first.

    It fails for a record whose alcohol is beyond the last one, or far below ``first``.
    """
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["alcohol"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Sub", ["whole", "first"], ["place"]),
        helper.make_node("Gather", ["values", "place"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info("alcohol", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [
            helper.make_tensor("first", TensorProto.INT64, [1], [first]),
            helper.make_tensor("values", TensorProto.FLOAT, [len(values)], list(values)),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def regression_pmml(
    intercept: float,
    coefficients: Mapping[str, float],
    *,
    categories: Mapping[tuple[str, str], float] | None = None,
    integers: Collection[str] = (),
    comment: str = "",
) -> bytes:
    """Returns a regression: intercept + Σ coefficient · number + Σ coefficients of (text field, value)."""
    categories = categories or {}
    texts = sorted({field for field, _ in categories})
    fields = [
        *(
            f'<DataField name="{field}" optype="continuous" '
            f'dataType="{"integer" if field in integers else "double"}"/>'
            for field in coefficients
        ),
        *(f'<DataField name="{field}" optype="categorical" dataType="string"/>' for field in texts),
    ]
    mining = [f'<MiningField name="{field}"/>' for field in (*coefficients, *texts)]
    predictors = [
        *(
            f'<NumericPredictor name="{field}" coefficient="{coefficient}"/>'
            for field, coefficient in coefficients.items()
        ),
        *(
            f'<CategoricalPredictor name="{field}" value="{value}" coefficient="{coefficient}"/>'
            for (field, value), coefficient in categories.items()
        ),
    ]
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<PMML version="4.3" xmlns="http://www.dmg.org/PMML-4_3"><!--{comment}-->
  <Header/>
  <DataDictionary>
    {"".join(fields)}<DataField name="y" optype="continuous" dataType="double"/>
  </DataDictionary>
  <RegressionModel functionName="regression">
    <MiningSchema>{"".join(mining)}<MiningField name="y" usageType="target"/></MiningSchema>
    <RegressionTable intercept="{intercept}">{"".join(predictors)}</RegressionTable>
  </RegressionModel>
</PMML>
""".encode()
