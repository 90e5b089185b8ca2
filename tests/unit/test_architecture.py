"""Who may import whom, and other rules of the house that a reader relies on."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("flink_jobs", "functions", "model_serving", "spark_jobs")

LAW: dict[str, set[str]] = {
    "model_serving.core": {"model_serving.core"},
    "model_serving.protos": {"model_serving.protos"},
    "model_serving.wire": {"model_serving.core", "model_serving.protos", "model_serving.wire"},
    "model_serving.engines": {"model_serving.core", "model_serving.engines"},
    "model_serving.stores": {"model_serving.core", "model_serving.stores"},
    "model_serving.messaging": {"model_serving.core", "model_serving.messaging", "model_serving.protos"},
    "model_serving.observe": {
        "model_serving.core",
        "model_serving.messaging",
        "model_serving.observe",
        "model_serving.protos",
        "model_serving.wire",
    },
    "model_serving.query": {
        "model_serving.assembly",
        "model_serving.core",
        "model_serving.flags",
        "model_serving.messaging",
        "model_serving.observe",
        "model_serving.protos",
        "model_serving.query",
        "model_serving.settings",
        "model_serving.wire",
    },
    "model_serving.runtime": {"model_serving.runtime"},
    "model_serving.flags": {
        "model_serving.core",
        "model_serving.flags",
        "model_serving.messaging",
        "model_serving.runtime",
        "model_serving.settings",
        "model_serving.stores",
        "model_serving.wire",
    },
    "model_serving.testing": {"model_serving.core", "model_serving.testing"},
    "model_serving.client": {
        "model_serving.assembly",
        "model_serving.client",
        "model_serving.core",
        "model_serving.engines",
        "model_serving.flags",
        "model_serving.messaging",
        "model_serving.observe",
        "model_serving.protos",
        "model_serving.query",
        "model_serving.runtime",
        "model_serving.server",
        "model_serving.settings",
        "model_serving.stores",
        "model_serving.wire",
    },
    "model_serving.server": {
        "model_serving.assembly",
        "model_serving.core",
        "model_serving.events",
        "model_serving.flags",
        "model_serving.messaging",
        "model_serving.observe",
        "model_serving.protos",
        "model_serving.query",
        "model_serving.runtime",
        "model_serving.server",
        "model_serving.settings",
        "model_serving.wire",
    },
    "model_serving.spark": {
        "model_serving.assembly",
        "model_serving.core",
        "model_serving.events",
        "model_serving.flags",
        "model_serving.messaging",
        "model_serving.observe",
        "model_serving.protos",
        "model_serving.runtime",
        "model_serving.settings",
        "model_serving.spark",
        "model_serving.stores",
        "model_serving.wire",
    },
    "spark_jobs": {"model_serving.spark"},
    "functions": {
        "functions",
        "model_serving.assembly",
        "model_serving.core",
        "model_serving.events",
        "model_serving.runtime.variables",
        "model_serving.settings",
        "model_serving.wire",
    },
    "flink_jobs": {
        "flink_jobs",
        "functions",
        "model_serving.core",
        "model_serving.flags",
        "model_serving.messaging",
        "model_serving.runtime",
        "model_serving.settings",
        "model_serving.stores",
        "model_serving.wire",
    },
}
"""Folder → what of this project it may import. No arrow climbs."""

TOP: dict[str, set[str]] = {
    "model_serving": {"model_serving.core"},
    "model_serving.settings": {"model_serving.core"},
    "model_serving.events": {"model_serving.protos"},
    "model_serving.assembly": {
        "model_serving.core",
        "model_serving.engines",
        "model_serving.messaging",
        "model_serving.settings",
        "model_serving.stores",
        "model_serving.wire",
    },
}
"""The same for the modules that stand beside the folders of the library."""

AT_HOME: dict[str, set[str]] = {
    "pyflink": {"flink_jobs", "functions"},
    "pemja": {"functions"},
    "pyspark": {"model_serving.spark", "spark_jobs"},
    "confluent_kafka": {
        "model_serving.client",
        "model_serving.messaging",
        "model_serving.server",
        "model_serving.spark",
    },
    "google.protobuf": {
        "model_serving.client",
        "model_serving.events",
        "model_serving.observe",
        "model_serving.protos",
        "model_serving.wire",
    },
    "fsspec": {"model_serving.runtime", "model_serving.stores"},
}
"""A third party → the only places that import it."""


def modules(*folders: str) -> dict[str, ast.Module]:
    """The modules below the folders, by dotted name."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.name.endswith("_pb2.py"):
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                found[name] = parsed(path)
    assert found
    return found


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(node: ast.AST, *, at_import_time: bool = False) -> Iterator[str]:
    """The dotted names that are imported; with ``at_import_time``, not those inside of functions.

    Imports for type checkers only do not count: they bind nobody at run time.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if at_import_time and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "no relative imports"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from imports(child, at_import_time=at_import_time)


def is_within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def is_ours(name: str) -> bool:
    return is_within(name, {*PACKAGES, "tests", "bench"})


def breaches(found: dict[str, ast.Module], allowed: set[str]) -> set[str]:
    """``module → import`` for what a module imports of this project and may not."""
    return {
        f"{name} → {imported}"
        for name, tree in found.items()
        for imported in imports(tree)
        if is_ours(imported) and not is_within(imported, allowed)
    }


@pytest.mark.parametrize("folder", LAW)
def test_a_folder_imports_what_the_law_allows(folder: str) -> None:
    path = folder.replace(".", "/")
    assert breaches(modules(path), LAW[folder]) == set()


def test_every_module_is_under_the_law() -> None:
    without = {name for name in modules(*PACKAGES) if not is_within(name, set(LAW)) and name not in TOP}
    assert without == set()
    found = modules(*PACKAGES)
    for name, allowed in TOP.items():
        if name in found:
            assert breaches({name: found[name]}, allowed) == set()


def test_third_parties_stay_where_they_belong() -> None:
    found = {
        f"{name} → {imported}"
        for name, tree in modules(*PACKAGES).items()
        for imported in imports(tree)
        for party, homes in AT_HOME.items()
        if is_within(imported, {party}) and not is_within(name, homes)
    }
    assert found == set()


def test_the_core_knows_the_standard_library_and_numpy_only() -> None:
    foreign = {
        f"{name} → {imported}"
        for name, tree in modules("model_serving/core").items()
        for imported in imports(tree)
        if imported.partition(".")[0] not in sys.stdlib_module_names
        and not is_within(imported, {"numpy", "model_serving.core"})
    }
    assert foreign == set()


def test_engines_import_no_model_library_before_a_model_is_loaded() -> None:
    foreign = {
        f"{name} → {imported}"
        for name, tree in modules("model_serving/engines").items()
        for imported in imports(tree, at_import_time=True)
        if imported.partition(".")[0] not in sys.stdlib_module_names
        and not is_within(imported, {"numpy", "model_serving"})
    }
    assert foreign == set()


def test_what_runs_in_operators_prints_nothing() -> None:
    folders = ("functions", *(f"model_serving/{name}" for name in ("core", "engines", "stores", "wire")))
    printing = {
        name
        for name, tree in modules(*folders).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == set()


def test_every_module_says_what_it_is_for_and_what_it_offers() -> None:
    found = modules(*PACKAGES)
    assert {name for name, tree in found.items() if not ast.get_docstring(tree)} == set()
    scripts = {
        f"{folder}.{variant}" for folder in ("flink_jobs", "spark_jobs") for variant in ("keyed", "broadcast")
    }
    offering = {
        name
        for name, tree in found.items()
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    }
    packages = {name for name, tree in found.items() if len(tree.body) == 1}
    assert set(found) - offering - scripts - packages == set()


def test_no_module_is_longer_than_a_reader_holds_in_mind() -> None:
    paths = [
        path
        for folder in PACKAGES
        for path in (ROOT / folder).rglob("*.py")
        if not path.name.endswith("_pb2.py")
    ]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


TEXTS = {
    ".cfg",
    ".json",
    ".lock",
    ".md",
    ".properties",
    ".proto",
    ".py",
    ".pyi",
    ".sh",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
}
NAMED = {"Makefile", "Dockerfile", ".gitignore", ".dockerignore"}
NOT_OURS = {".git", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "__pycache__"}
HERE = re.compile("|".join(rf"{re.escape(str(path))}(?!\w)" for path in (ROOT, ROOT.parent / "shared")))


def texts(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in NOT_OURS and not path.name.startswith(".venv"):
                yield from texts(path)
        elif path.suffix in TEXTS or path.name in NAMED:
            yield path


def test_no_file_names_the_place_where_this_tree_is() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts(ROOT)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if HERE.search(line)
    }
    assert found == set()
