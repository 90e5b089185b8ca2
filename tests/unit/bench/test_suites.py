"""The suites are measured where they are, and the sample models where they are not."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.known_models import sample_models
from bench.speed import Speed, document_figures
from bench.store import Store
from bench.suites import run
from model_serving.client.samples import sample_folder


def measure(results: Path, only: str) -> dict[tuple[str, str], set[str]]:
    """Returns the names of the stored figures by models and set."""
    assert run(argparse.Namespace(only=only, results=results)) == 0
    return {
        (str(case.key["model"]), str(case.key["set"])): {figure["figure"] for figure in case.rounds["ours"]}
        for case in Store(results).cases("suites")
    }


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Takes the suites away."""
    monkeypatch.setenv("MODEL_SERVING_PMML_SUITE", str(tmp_path / "pmml"))
    monkeypatch.setenv("MODEL_SERVING_TENSOR_SUITE", str(tmp_path / "tensors"))
    return tmp_path


def test_the_documents_of_a_suite_are_measured(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = nowhere / "pmml" / "documents"
    folder.mkdir(parents=True)
    names = next(one for one in sample_models() if "linear" in one.message.name).schema.numeric
    row = {"in": dict.fromkeys(names, "1.5"), "out": None}
    case = {"fields": [[name, "double"] for name in names], "rows": [row]}
    for name in ("a linear document", "another"):
        (folder / f"{name}.json").write_text(json.dumps(case))
        (folder / f"{name}.pmml").write_bytes(
            (sample_folder() / "models" / "wine_linear_regression.pmml").read_bytes()
        )
    found = measure(nowhere / "results", "a linear document")
    assert found == {("PMML documents", "suite"): {"a record alone", "a record in a batch of 512", "load"}}
    said = capsys.readouterr().out
    assert "tensors is not there: the sample models are measured instead" in said.replace("\n", "")
    assert "| a record alone, µs | 1 |" in said


def test_without_suites_the_samples_are_measured(nowhere: Path) -> None:
    assert measure(nowhere / "results", "wine_regression.onnx") == {
        ("ONNX models", "sample"): {
            "a record alone",
            "a record in a batch of 512",
            "a record alone / the library's own call",
        }
    }


@pytest.mark.usefixtures("nowhere")
def test_a_name_that_no_model_has_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no model whose name contains 'nothing' can be served"):
        measure(tmp_path, "nothing")


def test_large_documents_are_scaled_to_100_kb() -> None:
    figures = document_figures([Speed(50_000, 10.0, 1.0, 20.0), Speed(1_000, 1.0, 3.0, 40.0)])
    assert {figure.name: figure.median for figure in figures} == {
        "a record alone": "30 µs",
        "a record in a batch of 512": "2.00 µs",
        "load": "5.5 ms",
        "load of 100 kB (documents from 50 kB on)": "20.0 ms",
    }
    assert document_figures([]) == []
