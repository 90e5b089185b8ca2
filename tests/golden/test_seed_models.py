"""Every seed model gives its golden value, computed by independent evaluators, on all 1,599 records."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines import engine_for
from tests.job_models import needs_seed_data, seed_data

SEED_DATA = seed_data()
pytestmark = needs_seed_data

WINE = RecordSchema(
    "WineRecord",
    (
        "fixed_acidity",
        "volatile_acidity",
        "citric_acid",
        "residual_sugar",
        "chlorides",
        "free_sulfur_dioxide",
        "total_sulfur_dioxide",
        "density",
        "pH",
        "sulphates",
        "alcohol",
    ),
)
RECORDS = 1599


def as_tar(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, arcname=folder.name)
    return packed.getvalue()


def as_zip(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()


@pytest.fixture(scope="module")
def records() -> npt.NDArray[np.float64]:
    return np.loadtxt(SEED_DATA / "winequality_red.csv", delimiter=";")[:, : len(WINE.numeric)]


@pytest.fixture(scope="module")
def golden() -> dict[str, list[float]]:
    values: dict[str, list[float]] = json.loads((SEED_DATA / "golden.json").read_text())
    return values


@pytest.mark.parametrize(
    ("name", "model_type", "pack", "tolerance"),
    [
        ("winequalityDecisionTreeClassification.pmml", ModelType.PMML, Path.read_bytes, 0.0),
        ("winequalityRandonForrestClassification.pmml", ModelType.PMML, Path.read_bytes, 0.0),
        ("winequalityGeneralizedLinearRegressionGaussian.pmml", ModelType.PMML, Path.read_bytes, 1e-6),
        ("optimized_WineQuality.pb", ModelType.TENSORFLOW, Path.read_bytes, 0.0),
        ("saved/1", ModelType.TENSORFLOWSAVED, as_zip, 0.0),
        ("saved/1", ModelType.TENSORFLOWSAVED, as_tar, 0.0),
    ],
    ids=["tree", "forest", "linear", "graph", "saved model zip", "saved model tar"],
)
@pytest.mark.parametrize("batch", [1, 100, RECORDS])
def test_seed_model_gives_its_golden_values(
    records: npt.NDArray[np.float64],
    golden: dict[str, list[float]],
    name: str,
    model_type: ModelType,
    pack: object,
    tolerance: float,
    batch: int,
) -> None:
    assert callable(pack)
    offered = ModelToServe("wine", name, model_type, "1", "", pack(SEED_DATA / name))
    model = engine_for(model_type).load(offered, WINE)
    try:
        columns = records[:, [WINE.numeric.index(field) for field in model.fields]]
        results = np.concatenate(
            [model.score(columns[start : start + batch]).result for start in range(0, RECORDS, batch)]
        )
    finally:
        model.close()
    np.testing.assert_allclose(results, golden[name], rtol=0.0, atol=tolerance)


def test_the_golden_values_cover_every_seed_model(golden: dict[str, list[float]]) -> None:
    models = {path.name for path in SEED_DATA.iterdir() if path.suffix in {".pmml", ".pb"}} | {"saved/1"}
    assert {name: len(values) for name, values in golden.items()} == dict.fromkeys(models, RECORDS)
