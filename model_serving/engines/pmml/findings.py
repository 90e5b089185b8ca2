"""What loading a PMML model has found out, for the same software to load it again without Java.

Most of a load is Java: the evaluator reads the document too, says which columns it answers with, and is
compared with the compiled model on hundreds of rows. The same software finds the same when it loads the same
model again. So what it has found is kept with the model in Flink's state (``LoadedModel.findings``), for jobs
that come back from a checkpoint and for processes that serve beside the one that admits models. What any
other software has found counts for nothing: all is found out again.
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
    """What is kept of a model that agrees with the evaluator; ``columns`` are what that answers with."""
    software = _software()
    if not software:
        return ""
    found = {"by": software, "columns": [[one.name, one.feature, one.data_type] for one in columns]}
    return json.dumps(found, separators=(",", ":"))


def agreed_columns(findings: str) -> tuple[OutputColumn, ...] | None:
    """The evaluator's columns, for a model that this very software has compiled and compared; else None."""
    if not findings:
        return None
    found = json.loads(findings)
    if found["by"] != _software():
        return None
    return tuple(OutputColumn(*column) for column in found["columns"])


@cache
def _software() -> str:
    """A digest of all that findings rest on: the sources of this package, the libraries, the machine.

    Empty where nobody knows what software this is: its sources are no files (in a zip), or the evaluator was
    not installed by a packaging tool.
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
