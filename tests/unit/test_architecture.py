"""Who may import whom, and other rules of the house that a reader relies on."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"client", "flink_jobs", "functions", "protos", "runtime", "tests"}
ADAPTERS = {
    "functions.admission",
    "functions.broadcast",
    "functions.flink_types",
    "functions.intake",
    "functions.keyed",
    "functions.metrics",
    "functions.model_line",
    "functions.outcomes",
    "functions.placement",
    "functions.swaps",
}
"""The modules of ``functions`` that know Flink."""

LIGHT = {"google.protobuf", "numpy"}
"""Third parties that may be imported when a module is: they load in a fraction of a second."""


def modules(*folders: str) -> dict[str, ast.Module]:
    """The modules below the folders, by dotted name."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.name.endswith("_pb2.py"):
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                found[name] = ast.parse(path.read_text(encoding="utf-8"))
    assert found
    return found


def imports(node: ast.AST, *, at_import_time: bool = False) -> Iterator[str]:
    """The dotted names that are imported; with ``at_import_time``, not those inside of functions.

    Imports for type checkers only count as none: they bind nobody at run time.
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


def forbidden(found: dict[str, ast.Module], allowed: set[str], *, at_import_time: bool = False) -> set[str]:
    """``module → import`` for everything that is neither allowed nor of the standard library."""
    return {
        f"{name} → {imported}"
        for name, tree in found.items()
        for imported in imports(tree, at_import_time=at_import_time)
        if imported.partition(".")[0] not in sys.stdlib_module_names and not is_within(imported, allowed)
    }


def test_the_core_knows_the_standard_library_and_numpy_only() -> None:
    assert forbidden(modules("functions/core"), {"numpy", "functions.core"}) == set()


def test_engines_know_the_core_and_each_other_and_no_other_part_of_this_project() -> None:
    found = modules("functions/engines")
    ours = {
        f"{name} → {imported}"
        for name, tree in found.items()
        for imported in imports(tree)
        if imported.partition(".")[0] in OURS
        and not is_within(imported, {"functions.core", "functions.engines"})
    }
    assert ours == set()


def test_engines_import_no_model_library_before_a_model_is_loaded() -> None:
    allowed = LIGHT | {"functions.core", "functions.engines"}
    assert forbidden(modules("functions/engines"), allowed, at_import_time=True) == set()


def test_only_the_wire_layer_knows_the_messages() -> None:
    users = {
        name
        for name, tree in modules("functions").items()
        if any(is_within(imported, {"protos"}) for imported in imports(tree))
    }
    assert {name for name in users if not is_within(name, {"functions.wire"})} == set()
    assert users


def test_flink_is_known_to_the_adapters_and_the_wiring_only() -> None:
    users = {
        name
        for name, tree in modules("functions", "flink_jobs", "client", "protos", "runtime").items()
        if any(is_within(imported, {"pyflink"}) for imported in imports(tree))
    }
    assert {name for name in users if name.startswith("functions.")} <= ADAPTERS
    assert {name for name in users if not name.startswith("functions.")} <= set(modules("flink_jobs"))


@pytest.mark.parametrize(
    ("inside", "around"),
    [
        ("protos", {"client", "flink_jobs", "functions", "runtime", "tests"}),
        ("functions", {"client", "flink_jobs", "runtime", "tests"}),
        ("flink_jobs", {"client", "functions.engines", "protos", "tests"}),
        ("runtime", {"client", "functions", "protos", "tests"}),
        ("client", {"flink_jobs", "tests"}),
    ],
)
def test_imports_point_inward(inside: str, around: set[str]) -> None:
    found = {
        f"{name} → {imported}"
        for name, tree in modules(inside).items()
        for imported in imports(tree)
        if is_within(imported, around)
    }
    assert found == set()


def test_what_decides_does_not_know_the_operators() -> None:
    found = {
        f"{name} → {imported}"
        for name, tree in modules("functions").items()
        if name not in ADAPTERS
        for imported in imports(tree)
        if is_within(imported, ADAPTERS)
    }
    assert found == set()


def test_what_runs_in_operators_prints_nothing() -> None:
    printing = {
        name
        for name, tree in modules("functions").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == set()


def test_every_module_says_what_it_is_for_and_what_it_offers() -> None:
    found = modules("client", "flink_jobs", "functions", "runtime")
    assert {name for name, tree in found.items() if not ast.get_docstring(tree)} == set()
    scripts = {"flink_jobs.keyed", "flink_jobs.broadcast"}
    offering = {
        name
        for name, tree in found.items()
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    }
    packages = {name for name, tree in found.items() if len(tree.body) == 1}
    assert set(found) - offering - scripts - packages == set()


def test_no_module_is_longer_than_a_reader_holds_in_mind() -> None:
    lengths = {
        name: len((ROOT / (name.replace(".", "/") + ".py")).read_text().splitlines())
        for name in modules("client", "flink_jobs", "functions", "runtime")
        if (ROOT / (name.replace(".", "/") + ".py")).is_file()
    }
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
            if path.name not in NOT_OURS:
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
