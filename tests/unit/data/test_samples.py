"""The sample data is what its manifest says it is."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[3] / "data"
MANIFEST: dict[str, Any] = json.loads((DATA / "MANIFEST.json").read_text(encoding="utf-8"))
MODELS: list[dict[str, Any]] = MANIFEST["models"]
RECORDS: dict[str, Any] = MANIFEST["records"]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _rows() -> list[dict[str, str]]:
    with (DATA / RECORDS["file"]).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter=";"))


def test_the_manifest_lists_every_model_file_with_its_digest() -> None:
    listed: dict[str, str] = {}
    for model in MODELS:
        if isinstance(model["sha256"], dict):
            listed |= {f"{model['file']}/{name}": digest for name, digest in model["sha256"].items()}
        else:
            listed[model["file"]] = model["sha256"]
    assert listed == {f"models/{name}": digest for name, digest in _files(DATA / "models").items()}


def test_nothing_else_lies_about() -> None:
    scripts = {"make_samples.py", "pmml_writer.py", "tensor_models.py", "wine_records.py"}
    present = {path.name for path in DATA.iterdir() if path.name != "__pycache__"}
    assert present == {"MANIFEST.json", "README.md", "models", RECORDS["file"]} | scripts


def test_the_sample_data_stays_small() -> None:
    sizes = {path: path.stat().st_size for path in (DATA / "models").rglob("*") if path.is_file()}
    assert max(sizes.values()) < 1_000_000
    assert sum(sizes.values()) < 2_000_000


def test_every_kind_of_model_is_there() -> None:
    kinds = [model["modeltype"] for model in MODELS]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "PMML": 5,
        "TENSORFLOW": 1,
        "TENSORFLOWSAVED": 1,
        "ONNX": 1,
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model["file"])
def test_a_model_is_described(model: dict[str, Any]) -> None:
    assert list(model) == [
        "file",
        "modeltype",
        "name",
        "description",
        "made_by",
        "libraries",
        "sha256",
        "score",
        "expected",
        "expected_by",
        "tolerance",
    ]
    assert len(model["expected"]) == 5
    if "accuracy" in model["score"]:
        assert model["tolerance"] == 0
        assert set(model["expected"]) <= {3.0, 4.0, 5.0, 6.0, 7.0, 8.0}
        # Always answering the most frequent class gives less than 0.4.
        assert model["score"]["accuracy"] > 0.5
    else:
        assert 0 < model["tolerance"] <= 1e-3
        assert model["score"]["r2"] > 0.5


def test_the_records_are_those_of_the_manifest() -> None:
    rows = _rows()
    columns = [column["name"] for column in RECORDS["distributions"]["columns"]]
    assert _sha256(DATA / RECORDS["file"]) == RECORDS["sha256"]
    assert len(rows) == RECORDS["count"] >= 2_000
    assert list(rows[0]) == [*columns, "quality"]
    assert {row["quality"] for row in rows} == {"3", "4", "5", "6", "7", "8"}


def test_the_columns_are_the_fields_of_the_record_type_in_their_order() -> None:
    proto = (DATA.parent / "protos" / "winerecord.proto").read_text(encoding="utf-8")
    fields = re.findall(r"^\s*double (\w+) = \d+;", proto, re.MULTILINE)
    assert [name.replace(" ", "_") for name in _rows()[0]] == [*fields, "quality"]


@pytest.mark.parametrize("column", RECORDS["distributions"]["columns"], ids=lambda column: column["name"])
def test_a_column_stays_in_its_range_and_is_rounded(column: dict[str, Any]) -> None:
    texts = [row[column["name"]] for row in _rows()]
    pattern = re.compile(rf"\d+\.\d{{{column['decimals']}}}" if column["decimals"] else r"\d+")
    assert [text for text in texts if not pattern.fullmatch(text)] == []
    values = [float(text) for text in texts]
    assert [value for value in values if not column["low"] <= value <= column["high"]] == []
    assert len(set(values)) > 10
    assert math.isfinite(sum(values))


def test_total_sulfur_dioxide_contains_the_free() -> None:
    rows = _rows()
    assert [
        row for row in rows if float(row["total sulfur dioxide"]) < float(row["free sulfur dioxide"])
    ] == []
