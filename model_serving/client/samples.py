"""The project's sample records and models: ``data/`` in a checkout, ``client/sample_data/`` in a wheel."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from model_serving.client.errors import ClientError

__all__ = ["SampleModel", "sample_folder", "sample_models", "sample_records"]


@dataclass(frozen=True, slots=True)
class SampleModel:
    """A sample model: a file or a SavedModel's folder, and its results for the first sample records."""

    path: Path
    name: str
    description: str
    expected: tuple[float, ...]
    tolerance: float


def sample_folder() -> Path:
    """Returns the folder that holds MANIFEST.json.

    Raises:
        ClientError: there is no such folder.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "sample_data", package.parents[1] / "data"):
        if (folder / "MANIFEST.json").is_file():
            return folder
    raise ClientError("the sample data is missing: name your own files, or install the project again")


def sample_records() -> Path:
    """Returns the CSV file of sample records."""
    return sample_folder() / "records.csv"


def sample_models() -> list[SampleModel]:
    """Returns every sample model, in the manifest's order."""
    folder = sample_folder()
    manifest = json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))
    return [
        SampleModel(
            path=folder / entry["file"],
            name=entry["name"],
            description=entry["description"],
            expected=tuple(entry["expected"]),
            tolerance=entry["tolerance"],
        )
        for entry in manifest["models"]
    ]
