"""Makes the sample data in the folder of this script: ``records.csv``, ``models/`` and ``MANIFEST.json``.

It needs the ``train`` extra. Every random choice is seeded: two runs on one machine give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pmml_writer
import tensor_models
import wine_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["main"]

DATA = Path(__file__).resolve().parent
EXAMPLES = 5
NOTES = [
    "All files are made by make_samples.py; nothing is copied from real measurements or models.",
    "If the script runs again on the same machine, it gives the same bytes.",
    "On another kind of processor the last digits of fitted numbers may differ (linear algebra).",
    "SavedModel: the random id in fingerprint.pb is replaced by 0, because it would make exports differ.",
    "A class is given as the quality that it stands for; with nine outputs it is the greatest one's index.",
    "expected: results of the first records, by the evaluator in expected_by, not by a serving engine.",
]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample model: its file, its description, and ``predict``, its results for features of shape (n, 11).

    ``tolerance`` is the greatest difference between these results and a right engine's (0 for classes).
    """

    file: str
    modeltype: str
    name: str
    description: str
    made_by: str
    expected_by: str
    tolerance: float
    predict: Callable[[Floats], Floats]
    libraries: tuple[str, ...]


def make_records(folder: Path) -> wine_records.Records:
    """Writes ``records.csv``."""
    records = wine_records.build_records()
    (folder / "records.csv").write_text(records.to_csv(), encoding="utf-8", newline="\n")
    return records


def make_pmml(models: Path, features: Floats, quality: NDArray[np.int64]) -> list[Sample]:
    """Trains five models with scikit-learn and writes them as PMML."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import GammaRegressor, LinearRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    seed = wine_records.SEED
    names = [feature.name for feature in wine_records.FEATURES]
    classes = pmml_writer.Schema(names, wine_records.LABEL, wine_records.CLASSES)
    numbers = pmml_writer.Schema(names, wine_records.LABEL)
    samples = []

    def add(stem: str, pmml: bytes, description: str, estimator: Any, made_by: str, tolerance: float) -> None:
        (models / f"{stem}.pmml").write_bytes(pmml)
        samples.append(
            Sample(
                f"models/{stem}.pmml",
                "PMML",
                stem.replace("_", " "),
                description,
                f"{made_by}, written by pmml_writer.py",
                f"scikit-learn {type(estimator).__name__}.predict",
                tolerance,
                lambda matrix: np.asarray(estimator.predict(matrix), dtype=np.float64),
                ("scikit-learn",),
            )
        )

    tree = DecisionTreeClassifier(max_depth=6, min_samples_leaf=10, random_state=seed).fit(features, quality)
    settle_thresholds(tree.tree_)
    text = "Decision tree, predicts the class of quality"
    made_by = f"DecisionTreeClassifier(max_depth=6, min_samples_leaf=10, random_state={seed})"
    add("wine_decision_tree", pmml_writer.write_tree(tree, classes, text), text, tree, made_by, 0)

    forest = RandomForestClassifier(
        n_estimators=12, max_depth=6, max_features=0.6, min_samples_leaf=5, random_state=seed
    ).fit(features, quality)
    for estimator in forest.estimators_:
        settle_thresholds(estimator.tree_)
    text = "Random forest of 12 trees, predicts the class of quality"
    made_by = (
        "RandomForestClassifier(n_estimators=12, max_depth=6, max_features=0.6, min_samples_leaf=5,"
        f" random_state={seed})"
    )
    add("wine_random_forest", pmml_writer.write_forest(forest, classes, text), text, forest, made_by, 0)

    line = LinearRegression().fit(features, quality)
    text = "Linear regression, predicts quality as a number"
    pmml = pmml_writer.write_linear(line.coef_, line.intercept_, numbers, text)
    add("wine_linear_regression", pmml, text, line, "LinearRegression()", 1e-9)

    scaled = make_pipeline(StandardScaler(), GammaRegressor(alpha=0, solver="newton-cholesky", tol=1e-10))
    scaled.fit(features, quality)
    scaler, glm = scaled[0], scaled[1]
    coefficients = glm.coef_ / scaler.scale_
    intercept = glm.intercept_ - coefficients @ scaler.mean_
    text = "Generalized linear model (gamma, log link), predicts quality as a number"
    pmml = pmml_writer.write_gamma_glm(coefficients, intercept, numbers, text)
    made_by = "StandardScaler() and GammaRegressor(alpha=0), the scaling folded into the coefficients"
    add("wine_glm", pmml, text, scaled, made_by, 1e-9)

    perceptron = make_pipeline(
        StandardScaler(), MLPClassifier((12,), activation="tanh", alpha=1, max_iter=1500, random_state=seed)
    ).fit(features, quality)
    text = "Multilayer perceptron (11-12-6, tanh, softmax), predicts the class of quality"
    pmml = pmml_writer.write_perceptron(perceptron[1], perceptron[0], classes, text)
    made_by = f"StandardScaler() and MLPClassifier((12,), tanh, alpha=1, max_iter=1500, random_state={seed})"
    add("wine_perceptron", pmml, text, perceptron, made_by, 0)
    return samples


def make_tensor_models(models: Path, features: Floats, quality: NDArray[np.int64]) -> list[Sample]:
    """Trains a frozen graph and a SavedModel with Keras, and an ONNX file with scikit-learn."""
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import StandardScaler

    seed = wine_records.SEED
    by_numpy = "numpy arithmetic in float64 on the weights"
    tensor_models.limit_tensorflow(seed)

    frozen = tensor_models.train_keras(
        features, quality, units=(16, 12), hidden="tanh", squash="sigmoid", epochs=60
    )
    tensor_models.write_graph(frozen, models / "wine_frozen_graph.pb")

    saved = tensor_models.train_keras(
        features, quality, units=(24, 16), hidden="relu", squash="softmax", epochs=30
    )
    tensor_models.write_saved_model(saved, models / "saved" / "1")

    scaler = StandardScaler().fit(features)
    regressor = MLPRegressor(
        hidden_layer_sizes=(10,), activation="relu", alpha=1, max_iter=1500, random_state=seed
    )
    regressor.fit(scaler.transform(features), quality)
    layers = tuple(zip(regressor.coefs_, regressor.intercepts_, strict=True))
    onnx_network = tensor_models.Network(scaler.mean_, scaler.scale_, layers, "relu")
    tensor_models.write_onnx(onnx_network, models / "wine_regression.onnx")

    return [
        Sample(
            "models/wine_frozen_graph.pb",
            "TENSORFLOW",
            "wine frozen graph",
            "Frozen TensorFlow graph (11-16-12-9, tanh, sigmoid), its greatest output is the quality",
            f"Keras, Adam(0.005), 60 epochs of batches of 64, binary cross-entropy, seed {seed}",
            by_numpy,
            0,
            lambda matrix: frozen.forward(matrix).argmax(axis=1).astype(np.float64),
            ("tensorflow", "keras"),
        ),
        Sample(
            "models/saved/1",
            "TENSORFLOWSAVED",
            "wine saved model",
            "TensorFlow SavedModel (11-24-16-9, relu, softmax), its greatest output is the quality",
            f"Keras, Adam(0.005), 30 epochs of batches of 64, cross-entropy, as a tf.Module, seed {seed}",
            by_numpy,
            0,
            lambda matrix: saved.forward(matrix).argmax(axis=1).astype(np.float64),
            ("tensorflow", "keras"),
        ),
        Sample(
            "models/wine_regression.onnx",
            "ONNX",
            "wine onnx regression",
            "ONNX multilayer perceptron (11-10-1, relu), predicts quality as a number",
            f"StandardScaler() and MLPRegressor((10,), relu, alpha=1, max_iter=1500, random_state={seed})",
            by_numpy,
            1e-3,
            lambda matrix: onnx_network.forward(matrix)[:, 0],
            ("scikit-learn", "onnx"),
        ),
    ]


def settle_thresholds(tree: Any) -> None:
    """Moves each threshold of a fitted tree half a measuring step above the greatest value on its left side.

    scikit-learn compares in float32, PMML in float64. If a measured value could equal a threshold, the two
    might choose different sides. No record that the tree was trained on changes its leaf.
    """
    for node in np.flatnonzero(tree.children_left >= 0):
        feature = wine_records.FEATURES[tree.feature[node]]
        steps = np.floor(tree.threshold[node] * 10**feature.decimals + 1e-3)
        tree.threshold[node] = round((steps + 0.5) / 10**feature.decimals, feature.decimals + 1)


def describe(
    sample: Sample, folder: Path, records: wine_records.Records, held_out: NDArray[np.bool_]
) -> dict[str, Any]:
    """Returns a sample's entry in the manifest."""
    path = folder / sample.file
    results = sample.predict(records.features)
    return {
        "file": sample.file,
        "modeltype": sample.modeltype,
        "name": sample.name,
        "description": sample.description,
        "made_by": sample.made_by,
        "libraries": {name: version(name) for name in (*sample.libraries, "numpy")},
        "sha256": {str(p.relative_to(path)): digest(p) for p in sorted(path.rglob("*")) if p.is_file()}
        if path.is_dir()
        else digest(path),
        "score": score(results[held_out], records.quality[held_out], classes=sample.tolerance == 0),
        "expected": [float(value) for value in results[:EXAMPLES]],
        "expected_by": sample.expected_by,
        "tolerance": sample.tolerance,
    }


def score(results: Floats, quality: NDArray[np.int64], *, classes: bool) -> dict[str, float]:
    """Returns the accuracy of classes, or R² and mean absolute error of numbers."""
    if classes:
        return {"accuracy": round(float((results == quality).mean()), 4)}
    residual = ((quality - results) ** 2).sum() / ((quality - quality.mean()) ** 2).sum()
    error = np.abs(quality - results).mean()
    return {"r2": round(float(1 - residual), 4), "mean_absolute_error": round(float(error), 4)}


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Makes all the sample data."""
    records = make_records(DATA)
    held_out = np.arange(len(records.quality)) % 4 == 3
    features, quality = records.features[~held_out], records.quality[~held_out]
    models = DATA / "models"
    shutil.rmtree(models, ignore_errors=True)
    models.mkdir()
    samples = make_pmml(models, features, quality) + make_tensor_models(models, features, quality)
    entries = [describe(sample, DATA, records, held_out) for sample in samples]
    manifest = {
        "licence": "Apache-2.0",
        "notes": NOTES,
        "python": platform.python_version(),
        "records": {
            "file": "records.csv",
            "count": len(records.quality),
            "seed": wine_records.SEED,
            "generator": "numpy.random.default_rng",
            "sha256": digest(DATA / "records.csv"),
            "held_out": "every fourth record: those whose number, counted from 0, leaves 3 when divided by 4",
            "distributions": wine_records.describe_distributions(),
        },
        "models": entries,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (DATA / "MANIFEST.json").write_text(text, encoding="utf-8", newline="\n")
    for entry in entries:
        sys.stdout.write(f"{entry['file']}: {entry['score']}\n")


if __name__ == "__main__":
    main()
