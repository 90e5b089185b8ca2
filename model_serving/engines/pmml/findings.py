"""The findings of loading a PMML model: with them, the same software loads the model again without Java.

Most of the time of a load is Java's: the evaluator reads the document too, gives the columns of its answers,
and is compared with the compiled model on hundreds of rows. The same software finds the same when it loads
the same model again. So the findings are kept with the model in Flink's state (``LoadedModel.findings``), for
jobs that are restored from a checkpoint, and for the processes that serve the model after another one has
admitted it. The findings of any other software are ignored, and the model is compared again.
"""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.gateway import OutputColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["agreed_columns", "findings_of"]


def findings_of(columns: Sequence[OutputColumn]) -> str:
    """Returns the findings for a compiled model that agrees with the evaluator.

    Args:
        columns: the columns of the evaluator's answers.
    """
    software = _software()
    if not software:
        return ""
    found = {"by": software, "columns": [[one.name, one.feature, one.data_type] for one in columns]}
    return json.dumps(found, separators=(",", ":"))


def agreed_columns(findings: str) -> tuple[OutputColumn, ...] | None:
    """Returns the evaluator's columns if this same software has compared the model, else None."""
    if not findings:
        return None
    found = json.loads(findings)
    if found["by"] != _software():
        return None
    return tuple(OutputColumn(*column) for column in found["columns"])


@cache
def _software() -> str:
    """Returns a digest of everything that findings depend on: this package's sources, libraries and machine.

    It is empty if the software is not known: its sources are not files (they are in a zip), or the evaluator
    was not installed by a packaging tool.
    """
    folder = Path(__file__).parents[1]
    sources = sorted(folder.rglob("*.py"))
    try:
        evaluator = version("pypmml")
    except PackageNotFoundError:
        return ""
    if not sources:
        return ""
    digest = hashlib.sha256()
    for path in sources:
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    for named in (evaluator, np.__version__, platform.python_version(), platform.machine()):
        digest.update(f"{named}\0".encode())
    return digest.hexdigest()
