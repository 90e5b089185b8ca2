"""Models with records: the suites beside the project, where they are there, and the project's samples.

The suites are folders of real models with answers. ``tests.suites`` compares the scores with the answers, the
benchmark measures how long they take.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from bench.inputs import BenchModel
from bench.records import DATA_TYPE, RecordMaker
from model_serving.client.samples import sample_folder
from model_serving.core.engine import Columns, RecordSchema
from model_serving.core.messages import ModelToServe, ModelType, OutputRule
from model_serving.runtime.environment import project_root

__all__ = [
    "KnownModel",
    "pmml_model",
    "pmml_suite_folder",
    "sample_models",
    "tensor_model",
    "tensor_suite_folder",
    "wine_model",
]

_NUMBERS = frozenset({"integer", "float", "double", "boolean"})
_TEXT = FieldDescriptor.CPPTYPE_STRING
_MOST_RECORDS = 512


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model, the record type that it fits, and records: ``columns`` gives those of some fields."""

    message: ModelToServe
    schema: RecordSchema
    columns: Callable[[Sequence[str]], Columns]


def pmml_suite_folder() -> Path:
    """Returns the folder that MODEL_SERVING_PMML_SUITE names, else ``../shared/pmml-suite``."""
    return _suite_folder("MODEL_SERVING_PMML_SUITE", "pmml-suite")


def tensor_suite_folder() -> Path:
    """Returns the folder that MODEL_SERVING_TENSOR_SUITE names, else ``../shared/tensor-suite``."""
    return _suite_folder("MODEL_SERVING_TENSOR_SUITE", "tensor-suite")


def _suite_folder(variable: str, name: str) -> Path:
    return Path(os.environ.get(variable) or project_root().parent / "shared" / name)


def pmml_model(path: Path, case: Mapping[str, Any] | None = None) -> KnownModel:
    """Returns a document of the PMML suite. ``path`` is that of its JSON file, ``case`` its content."""
    case = json.loads(path.read_text()) if case is None else case
    types = dict(map(tuple, case["fields"]))
    numeric = tuple(name for name, data_type in types.items() if data_type in _NUMBERS)
    text = tuple(name for name in types if name not in numeric)
    content = path.with_suffix(".pmml").read_bytes()
    rows = [row["in"] for row in case["rows"]]
    return KnownModel(
        ModelToServe("suite", path.stem, ModelType.PMML, "1", "", content),
        RecordSchema("Record", numeric, text),
        lambda fields: _columns_of_rows(fields, types, rows),
    )


def tensor_model(path: Path, case: Mapping[str, Any] | None = None) -> KnownModel:
    """Returns a model of the TensorFlow and ONNX suite. ``path`` is that of its JSON file."""
    case = json.loads(path.read_text()) if case is None else case
    message = ModelToServe(
        "suite",
        path.stem,
        ModelType(case["kind"]),
        "1",
        "",
        path.with_suffix(".model").read_bytes(),
        tuple(case["inputs"]),
        OutputRule(case["output"]),
        signature_name=case.get("signature_name", ""),
        result_output=case.get("result_output", ""),
    )
    schema = RecordSchema("Record", tuple(case["numeric"]), tuple(case["text"]))
    return KnownModel(message, schema, partial(_columns_of_table, case["records"], schema.text))


def sample_models() -> list[KnownModel]:
    """Returns the project's own sample models, with the sample records."""
    folder = sample_folder() / "models"
    paths = [*sorted(path for path in folder.iterdir() if path.is_file()), folder / "saved" / "1"]
    maker = RecordMaker()
    return [wine_model(BenchModel(path.name, path.name, path), maker) for path in paths]


def wine_model(model: BenchModel, maker: RecordMaker) -> KnownModel:
    """Returns a model that scores the records of ``maker``."""
    fields = maker.record_type.fields
    schema = RecordSchema(
        maker.record_type.message.DESCRIPTOR.name,
        tuple(field.name for field in fields if field.cpp_type != _TEXT),
        tuple(field.name for field in fields if field.cpp_type == _TEXT),
    )
    offer = model.message()
    message = ModelToServe(DATA_TYPE, model.title, model.kind, "1", offer.sha256, offer.data)
    return KnownModel(message, schema, partial(_columns_of_records, maker))


def _columns_of_rows(
    fields: Sequence[str], types: Mapping[str, str], rows: Sequence[Mapping[str, str | None]]
) -> Columns:
    made = np.empty((len(rows), len(fields)), dtype=object)
    for column, name in enumerate(fields):
        is_number = types[name] in _NUMBERS
        for place, row in enumerate(rows):
            value = row.get(name)
            if not is_number:
                made[place, column] = value or ""
            else:
                made[place, column] = math.nan if value is None else _number(value)
    numbers_only = all(types[name] in _NUMBERS for name in fields)
    return made.astype(np.float64) if numbers_only else made


def _number(text: str) -> float:
    truth = {"true": 1.0, "false": 0.0}.get(text.lower())
    return float(text) if truth is None else truth


def _columns_of_table(
    records: Mapping[str, Sequence[Any]], text: Sequence[str], fields: Sequence[str]
) -> Columns:
    columns = [records[name] for name in fields]
    if any(name in text for name in fields):
        made = np.empty((len(columns[0]), len(columns)), dtype=object)
        for place, values in enumerate(columns):
            made[:, place] = values
        return made
    return np.array(columns, dtype=np.float64).T.copy()


def _columns_of_records(maker: RecordMaker, fields: Sequence[str]) -> Columns:
    records = [maker.record_type.message.FromString(body) for body in maker.bodies[:_MOST_RECORDS]]
    return np.array([[getattr(record, name) for name in fields] for record in records], dtype=np.float64)
