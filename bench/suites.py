"""``python -m bench suites``: measures the models of the suites without Flink, and tells the medians.

The suites are folders beside the project (``bench.known_models``). Where one is not there, the project's own
sample models are measured instead.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bench.errors import BenchError
from bench.known_models import (
    KnownModel,
    pmml_model,
    pmml_suite_folder,
    sample_models,
    tensor_model,
    tensor_suite_folder,
)
from bench.library_calls import ratio_to_library
from bench.report_tables import TABLES
from bench.session import add_results_argument
from bench.speed import BATCH, Figure, Speed, document_figures, measured
from bench.store import Case, Store
from bench.surroundings import now, surroundings
from model_serving.core.engine import LoadedModel
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType
from model_serving.engines import engine_for

__all__ = ["add_arguments", "run"]

_MOST_RATIO = 1.3
_KINDS = {
    ModelType.PMML: "PMML documents",
    ModelType.ONNX: "ONNX models",
    ModelType.TENSORFLOW: "TensorFlow frozen graphs",
    ModelType.TENSORFLOWSAVED: "TensorFlow SavedModels",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``suites``."""
    parser.add_argument("--only", default="", help="models whose name contains this")
    add_results_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    store, environment, console = Store(arguments.results), surroundings(), Console(width=140)
    is_empty = True
    for kinds, folder, places, read in (
        ((ModelType.PMML,), pmml_suite_folder(), "documents", pmml_model),
        (tuple(_KINDS)[1:], tensor_suite_folder(), "models", tensor_model),
    ):
        chosen = "suite" if (folder / places).is_dir() else "sample"
        if chosen == "sample":
            console.print(f"{folder} is not there: the sample models are measured instead", markup=False)
        for kind in kinds:
            found = sample_models() if chosen == "sample" else _models(folder / places, read)
            figures = _figures(
                kind,
                (
                    one
                    for one in found
                    if one.message.model_type is kind and arguments.only in one.message.name
                ),
            )
            if not figures:
                continue
            is_empty = False
            case = Case(
                {"model": _KINDS[kind], "set": chosen},
                now(),
                {"ours": "python -m bench suites"},
                {"ours": [_round(figure) for figure in figures]},
                environment,
            )
            store.save("suites", case)
            console.print("\n".join(TABLES["suites"]([case])), markup=False, highlight=False)
    if is_empty:
        raise BenchError(
            f"no model whose name contains '{arguments.only}' can be served: choose another name"
        )
    return 0


def _models(folder: Path, read: Callable[[Path], KnownModel]) -> Iterator[KnownModel]:
    return (read(path) for path in sorted(folder.glob("*.json")))


def _figures(kind: ModelType, models: Iterator[KnownModel]) -> list[Figure]:
    """Returns the figures of those models that are served and score all their records."""
    speeds: list[Speed] = []
    ratios: list[float] = []
    for known in models:
        begin = time.thread_time()
        try:
            model = engine_for(kind).load(known.message, known.schema)
        except ModelRejected:
            continue
        load_ms = (time.thread_time() - begin) * 1000
        try:
            speed, ratio = _measured(known, model, load_ms)
        finally:
            model.close()
        speeds += [] if speed is None else [speed]
        ratios += [] if ratio is None else [ratio]
    if kind is ModelType.PMML:
        return document_figures(speeds)
    figures = [
        Figure("a record alone", "µs", tuple(one.alone_us for one in speeds), 1),
        Figure(f"a record in a batch of {BATCH}", "µs", tuple(one.batch_us for one in speeds), 2),
        Figure("a record alone / the library's own call", "", tuple(ratios), 2, _MOST_RATIO),
    ]
    return [figure for figure in figures if figure.values]


def _measured(known: KnownModel, model: LoadedModel, load_ms: float) -> tuple[Speed | None, float | None]:
    columns = known.columns(model.fields)
    if not len(columns):
        return None, None
    speed = measured(model, columns, load_ms, len(known.message.content))
    try:
        return speed, ratio_to_library(known.message, model, columns[:1])
    except ScoringFailed:
        return speed, None


def _round(figure: Figure) -> dict[str, Any]:
    return {
        "figure": figure.name,
        "unit": figure.unit,
        "digits": figure.digits,
        "most": figure.most,
        "models": len(figure.values),
        "within": None if figure.most is None else _share(figure.values, figure.most),
        **dict(zip(("p25", "median", "p75", "max"), _quantiles(figure.values), strict=True)),
    }


def _quantiles(values: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in np.percentile(values, [25, 50, 75, 100])]


def _share(values: Sequence[float], most: float) -> float:
    return round(sum(value <= most for value in values) / len(values), 3)
