"""Minimal PMML documents, one cause each, with rows, right answers and the rule of the standard."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from model_serving.core.engine import Columns, LoadedModel, RecordSchema
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.engine import PmmlEngine

__all__ = ["NUMERIC_TYPES", "Case", "all_cases", "columns_of", "load_document"]

NUMERIC_TYPES = frozenset({"integer", "float", "double", "boolean"})
"""The data types of fields that take a record's numbers; all others take its text."""

_FOLDER = Path(__file__).parent / "fixtures" / "pmml_cases"


@dataclass(frozen=True, slots=True)
class Case:
    """A case. ``right`` has one answer a row: see the README beside the documents."""

    name: str
    content: bytes
    rows: Sequence[Mapping[str, Any]]
    right: Sequence[Any]
    may_be_refused: bool


def all_cases() -> list[Case]:
    """Returns the cases in the order of their names."""
    found = []
    for path in sorted(_FOLDER.glob("*.json")):
        read = json.loads(path.read_text())
        content = path.with_suffix(".pmml").read_bytes()
        found.append(Case(path.stem, content, read["rows"], read["right"], read.get("may_be_refused", False)))
    return found


def load_document(content: bytes) -> LoadedModel:
    """Loads a document for a record type that has all fields of its DataDictionary.

    Raises:
        ModelRejected: the engine refuses the document.
    """
    types = _types(content)
    numeric = tuple(name for name, data_type in types.items() if data_type in NUMERIC_TYPES)
    text = tuple(name for name in types if name not in numeric)
    offered = ModelToServe("cases", "case", ModelType.PMML, "1", "", content)
    return PmmlEngine(Limits()).load(offered, RecordSchema("Case", numeric, text))


def columns_of(model: LoadedModel, content: bytes, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Returns rows as a model takes them: None is NaN for a number, and an empty text for a text."""
    types = _types(content)
    made = np.empty((len(rows), len(model.fields)), dtype=object)
    for column, name in enumerate(model.fields):
        is_number = types[name] in NUMERIC_TYPES
        for place, row in enumerate(rows):
            value = row.get(name)
            if is_number:
                made[place, column] = math.nan if value is None else float(value)
            else:
                made[place, column] = "" if value is None else str(value)
    numbers_only = all(types[name] in NUMERIC_TYPES for name in model.fields)
    return made.astype(np.float64) if numbers_only else made


def _types(content: bytes) -> dict[str, str]:
    root = ET.fromstring(content)
    return {
        str(field.get("name")): str(field.get("dataType"))
        for field in root.iterfind("{*}DataDictionary/{*}DataField")
    }
