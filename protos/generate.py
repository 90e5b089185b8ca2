"""Generates the Python code of the messages: ``python protos/generate.py [--check] [ROOT]``.

ROOT is the folder to write below, by default this checkout. With ``--check`` nothing is written: files that
are not what would be written are named, and the exit status is then 1.

protoc's own output registers every message in one pool for the whole process. These messages have no package,
so a program that also loads its own ``WineRecord``, or its own ``protos/modeldescriptor.proto``, would fail
with a duplicate symbol. The code of this project therefore uses a pool of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1]
_DEFAULT_POOL = "_descriptor_pool.Default()"
_OWN_POOL = "_POOL"


def main(arguments: list[str]) -> int:
    """Writes or checks the generated code; the exit status."""
    roots = [Path(argument).resolve() for argument in arguments if argument != "--check"]
    root = roots[0] if roots else _PROJECT
    if "--check" not in arguments:
        write(root)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        write(fresh)
        wrong = sorted(
            str(path.relative_to(fresh))
            for path in fresh.rglob("*_pb2.py*")
            if not _is_same(path, root / path.relative_to(fresh))
        )
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


def write(root: Path) -> None:
    """Writes ``model_serving/protos`` and ``tests/protos`` below ``root``."""
    (root / "tests" / "protos").mkdir(parents=True, exist_ok=True)
    package = root / "model_serving" / "protos"
    package.mkdir(parents=True, exist_ok=True)
    ours = sorted((_PROJECT / "protos").glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        _protoc(_PROJECT / "protos", ours, Path(folder))
        for made in sorted(Path(folder).iterdir()):
            text = _in_package(made.read_text(encoding="utf-8"), [path.stem for path in ours])
            if made.suffix == ".py":
                text = _in_own_pool(text, made.name)
            (package / made.name).write_text(text, encoding="utf-8")
    # The tests' messages stand for a user's: generated as a user does it.
    _protoc(_PROJECT, sorted((_PROJECT / "tests" / "protos").glob("*.proto")), root)


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def _protoc(source: Path, files: list[Path], target: Path) -> None:
    flags = [f"--proto_path={source}", f"--python_out={target}", f"--pyi_out={target}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *flags, *map(str, files)], check=True)


def _in_package(text: str, names: list[str]) -> str:
    for name in names:
        text = text.replace(f"\nimport {name}_pb2 as ", f"\nfrom model_serving.protos import {name}_pb2 as ")
        text = text.replace(f"'{name}_pb2', _globals", f"'model_serving.protos.{name}_pb2', _globals")
    return text


def _in_own_pool(text: str, name: str) -> str:
    found = text.count(_DEFAULT_POOL)
    if found != 1:
        raise SystemExit(f"{name}: protoc names the default pool {found} times, not once: adapt this script")
    imported = "from google.protobuf import descriptor_pool as _descriptor_pool\n"
    own = f"from model_serving.protos.pool import POOL as {_OWN_POOL}\n"
    return text.replace(_DEFAULT_POOL, _OWN_POOL).replace(imported, own)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
