"""Makes wine-like records from the distributions below. No record is copied from real measurements.

A record is made in these steps:

1. Nine quantities are drawn together: standard normal numbers with the pairwise ``CORRELATIONS`` (a Gaussian
   copula), each transformed into its own marginal distribution (``DRAWN``).
2. Total sulfur dioxide, density and pH are computed from them (``derive_columns``).
3. Each value is clipped to its range and rounded to the decimals of its measurement (``FEATURES``).
4. ``quality`` is a noisy, non-linear function of the rounded values (``derive_quality``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CLASSES",
    "COUNT",
    "FEATURES",
    "LABEL",
    "SEED",
    "Records",
    "build_records",
    "derive_columns",
    "derive_quality",
    "describe_distributions",
]

SEED = 20_240_917
COUNT = 2_400
LABEL = "quality"
CLASSES = (3, 4, 5, 6, 7, 8)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of the file: name, decimals of its measurement, range [low, high] for clipping, and unit."""

    name: str
    decimals: int
    low: float
    high: float
    unit: str

    def measure(self, values: Floats) -> Floats:
        clipped: Floats = np.clip(values, self.low, self.high)
        rounded: Floats = np.round(clipped, self.decimals)
        return rounded


FEATURES = (
    Feature("fixed acidity", 1, 4.5, 16.0, "g/l tartaric acid"),
    Feature("volatile acidity", 2, 0.12, 1.6, "g/l acetic acid"),
    Feature("citric acid", 2, 0.0, 1.0, "g/l"),
    Feature("residual sugar", 1, 0.9, 15.5, "g/l"),
    Feature("chlorides", 3, 0.012, 0.6, "g/l sodium chloride"),
    Feature("free sulfur dioxide", 0, 1.0, 72.0, "mg/l"),
    Feature("total sulfur dioxide", 0, 6.0, 289.0, "mg/l"),
    Feature("density", 5, 0.99, 1.004, "g/ml"),
    Feature("pH", 2, 2.7, 4.1, "-"),
    Feature("sulphates", 2, 0.33, 2.0, "g/l potassium sulphate"),
    Feature("alcohol", 1, 8.4, 15.0, "% by volume"),
)


@dataclass(frozen=True, slots=True)
class Marginal:
    """A distribution: ``normal`` is centre + spread·z, ``lognormal`` is offset + centre·exp(spread·z)."""

    kind: str
    centre: float
    spread: float
    offset: float = 0.0

    def from_normal(self, z: Floats) -> Floats:
        if self.kind == "normal":
            return self.centre + self.spread * z
        bent: Floats = self.offset + self.centre * np.exp(self.spread * z)
        return bent


DRAWN = {
    "fixed acidity": Marginal("lognormal", 8.0, 0.20),
    "volatile acidity": Marginal("lognormal", 0.50, 0.32),
    "citric acid": Marginal("normal", 0.27, 0.19),
    "residual sugar": Marginal("lognormal", 2.2, 0.35),
    "chlorides": Marginal("lognormal", 0.08, 0.30),
    "free sulfur dioxide": Marginal("lognormal", 14.0, 0.60),
    "bound sulfur dioxide": Marginal("lognormal", 26.0, 0.70),
    "sulphates": Marginal("lognormal", 0.63, 0.22),
    "alcohol": Marginal("lognormal", 2.0, 0.45, offset=8.3),
}

CORRELATIONS = {
    ("fixed acidity", "citric acid"): 0.60,
    ("fixed acidity", "volatile acidity"): -0.20,
    ("volatile acidity", "citric acid"): -0.50,
    ("volatile acidity", "sulphates"): -0.25,
    ("volatile acidity", "alcohol"): -0.20,
    ("citric acid", "sulphates"): 0.30,
    ("residual sugar", "bound sulfur dioxide"): 0.20,
    ("chlorides", "sulphates"): 0.30,
    ("chlorides", "alcohol"): -0.20,
    ("free sulfur dioxide", "bound sulfur dioxide"): 0.50,
}


@dataclass(frozen=True, slots=True)
class Records:
    """Records: ``features`` (n, 11), in the order of ``FEATURES``; ``quality`` (n,), integers 3..8."""

    features: Floats
    quality: NDArray[np.int64]

    def to_csv(self) -> str:
        """Returns a header and a line for each record, with ``;`` and the decimals of each column."""
        lines = [";".join([feature.name for feature in FEATURES] + [LABEL])]
        for row, label in zip(self.features, self.quality, strict=True):
            values = [f"{value:.{f.decimals}f}" for f, value in zip(FEATURES, row, strict=True)]
            lines.append(";".join([*values, str(label)]))
        return "\n".join(lines) + "\n"


def build_records(count: int = COUNT, seed: int = SEED) -> Records:
    """Returns ``count`` records, always the same for a seed."""
    rng = np.random.default_rng(seed)
    names = list(DRAWN)
    correlation = np.eye(len(names))
    for (one, other), value in CORRELATIONS.items():
        i, j = names.index(one), names.index(other)
        correlation[i, j] = correlation[j, i] = value
    z = rng.standard_normal((count, len(names))) @ np.linalg.cholesky(correlation).T
    drawn = {name: DRAWN[name].from_normal(z[:, i]) for i, name in enumerate(names)}
    columns = derive_columns(drawn, rng)
    measured = {feature.name: feature.measure(columns[feature.name]) for feature in FEATURES}
    # After rounding, free sulfur dioxide may exceed the total, which no laboratory would report.
    measured["total sulfur dioxide"] = np.maximum(
        measured["total sulfur dioxide"], measured["free sulfur dioxide"]
    )
    return Records(np.column_stack(list(measured.values())), derive_quality(measured, rng))


def describe_distributions() -> dict[str, Any]:
    """Returns the distributions as plain values, for the manifest."""
    return {
        "drawn": {name: asdict(marginal) for name, marginal in DRAWN.items()},
        "correlations": [[*pair, value] for pair, value in CORRELATIONS.items()],
        "derived": "total sulfur dioxide, density and pH: derive_columns() in wine_records.py",
        LABEL: "a noisy, non-linear function of the features: derive_quality() in wine_records.py",
        "columns": [asdict(feature) for feature in FEATURES],
    }


def derive_columns(drawn: dict[str, Floats], rng: np.random.Generator) -> dict[str, Floats]:
    """Adds total sulfur dioxide, density and pH to the drawn columns (the last two with normal noise)."""
    fixed, sugar, alcohol = drawn["fixed acidity"], drawn["residual sugar"], drawn["alcohol"]
    density = 0.9967 + 0.00050 * (fixed - 8.3) + 0.00040 * (sugar - 2.4) - 0.00085 * (alcohol - 10.4)
    ph = 3.31 - 0.06 * (fixed - 8.3) - 0.10 * (drawn["citric acid"] - 0.27)
    return drawn | {
        "total sulfur dioxide": drawn["free sulfur dioxide"] + drawn["bound sulfur dioxide"],
        "density": density + 0.0006 * rng.standard_normal(density.size),
        "pH": ph + 0.10 * rng.standard_normal(ph.size),
    }


def derive_quality(measured: dict[str, Floats], rng: np.random.Generator) -> NDArray[np.int64]:
    """Computes the quality 3..8 from the measured columns.

    Much alcohol, many sulphates and little volatile acidity are good, and the first two strengthen each
    other. Much sulfur dioxide, many chlorides and a pH far from 3.3 are bad. Normal noise is added, and the
    result is rounded and clipped.
    """
    strength = np.tanh((measured["alcohol"] - 10.4) / 1.2)
    body = np.tanh((measured["sulphates"] - 0.65) / 0.15)
    score = (
        5.7
        + 0.85 * strength
        - 0.85 * np.tanh((measured["volatile acidity"] - 0.52) / 0.25)
        + 0.55 * body
        - 0.5 * np.maximum(0, measured["total sulfur dioxide"] - 70) / 40
        - 0.12 * ((measured["pH"] - 3.3) / 0.15) ** 2
        - 2.0 * np.maximum(0, measured["chlorides"] - 0.12) / 0.1
        + 0.35 * strength * body
    )
    noisy = score + 0.38 * rng.standard_normal(strength.size)
    quality: NDArray[np.int64] = np.clip(np.rint(noisy), CLASSES[0], CLASSES[-1]).astype(np.int64)
    return quality
