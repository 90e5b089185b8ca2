from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from model_serving.runtime.environment import project_root
from tests.dockerfiles import copied_files, is_pinned, rest_of

ROOT = Path(__file__).resolve().parents[3]
OFFLINE = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
BASE = re.compile(r"python:(?P<version>3\.\d+\.\d+)-slim-\w+")


def test_both_stages_start_from_one_pinned_image_of_the_python_that_the_project_needs(
    dockerfile: list[Any], project: dict[str, Any]
) -> None:
    images = [rest.split()[0] for rest in rest_of(dockerfile, "FROM")]
    pinned = [BASE.fullmatch(image) for image in images]
    assert len(images) == 2
    # A virtual environment is links into the interpreter it was made with.
    assert images[0] == images[1]
    assert pinned[0] is not None
    assert project["project"]["requires-python"] == ">=3.11,<3.14"
    assert pinned[0]["version"].startswith("3.11.")


def test_the_image_runs_as_a_user_without_rights(dockerfile: list[Any]) -> None:
    last_stage = max(n for n, instruction in enumerate(dockerfile) if instruction.keyword == "FROM")
    final = dockerfile[last_stage:]
    assert rest_of(final, "USER") == ["serving"]
    assert any("useradd --uid 9999 --create-home serving" in rest for rest in rest_of(final, "RUN"))
    # What follows USER is CMD and the like: nothing is made that root would own.
    after = final[[instruction.keyword for instruction in final].index("USER") :]
    assert {instruction.keyword for instruction in after}.isdisjoint({"RUN", "COPY", "ADD"})


def test_every_copied_file_is_there_and_reaches_the_build(
    dockerfile: list[Any], build_context: list[Path]
) -> None:
    sources = copied_files(dockerfile)
    assert Path("requirements.lock") in sources
    assert [source for source in sources if not (ROOT / source).is_file()] == []
    assert [source for source in sources if source not in build_context] == []


def test_everything_that_is_fetched_is_checked_against_a_hash(dockerfile: list[Any]) -> None:
    calls = [
        call
        for rest in rest_of(dockerfile, "RUN")
        for call in re.split(r"&&", rest)
        if re.search(r"\bpip (install|wheel)\b", call)
    ]
    assert len(calls) == 5
    for call in calls:
        checked = "--require-hashes" in call
        local = "--no-deps" in call and ("--no-index" in call or call.rstrip().endswith("./source"))
        assert checked != local, call


def test_the_modules_that_it_runs_exist(dockerfile: list[Any]) -> None:
    modules = {
        module for rest in rest_of(dockerfile, "RUN") for module in re.findall(r"python -m ([\w.]+)", rest)
    }
    assert modules == {"pip", "venv", "model_serving.runtime.install"}
    assert [module for module in modules if find_spec(module) is None] == []


def test_what_the_build_sees_makes_a_whole_wheel(
    build_context: list[Path], tmp_path: Path, project: dict[str, Any]
) -> None:
    source = tmp_path / "source"
    for path in build_context:
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, source / path, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / path).exists():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, source / path)
    made = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            *OFFLINE,
            "--wheel-dir",
            tmp_path / "wheel",
            source,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    assert wheel.name == f"flink_model_serving-{project['project']['version']}-py3-none-any.whl"
    inside = set(zipfile.ZipFile(wheel).namelist())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    expected = {
        str(path.relative_to(project_root()))
        for package in packages
        for path in (project_root() / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    samples = {
        f"model_serving/client/sample_data/{path.relative_to(ROOT / 'data')}"
        for path in [*(ROOT / "data" / "models").rglob("*"), ROOT / "data" / "records.csv"]
        if path.is_file()
    }
    missing = (expected | samples | {"model_serving/client/sample_data/MANIFEST.json"}) - inside
    assert missing == set()
    # Nothing else can be imported: a `client` or `protos` of ours would hide the user's own.
    tops = {name.partition("/")[0] for name in inside if ".dist-info/" not in name}
    assert tops == {"flink_jobs", "functions", "model_serving", "spark_jobs"}


def test_the_image_has_the_base_and_the_extras_of_flink_and_of_every_engine(
    dockerfile: list[Any], project: dict[str, Any]
) -> None:
    (call,) = (
        call.split(">")[0]
        for rest in rest_of(dockerfile, "RUN")
        for call in rest.split("&&")
        if "dependencies.py" in call
    )
    extras = call.partition("dependencies.py")[2].split()
    assert extras == ["flink", "tensorflow", "onnx", "pmml"]
    told = subprocess.run(
        [sys.executable, ROOT / "docker" / "dependencies.py", *extras],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    optional = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *(one for extra in extras for one in optional[extra])]
    assert set(told) == set(wanted)
    assert len(told) == len(set(told))
    assert [one for one in told if not is_pinned(one, "requirements.lock")] == []


@pytest.mark.parametrize(
    "name",
    ["requirements.lock", "requirements-build.lock", "requirements-server.lock", "requirements-spark.lock"],
)
def test_the_locks_pin_every_package_with_a_hash(name: str) -> None:
    text = re.sub(r"\\\n\s*", "", (ROOT / name).read_text(encoding="utf-8"))
    pins = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert pins != []
    assert [pin for pin in pins if not re.match(r"[a-z0-9.-]+==\S+.* --hash=sha256:[0-9a-f]{64}", pin)] == []
