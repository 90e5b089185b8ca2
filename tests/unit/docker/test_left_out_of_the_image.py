"""The sample models are served without what the server's image leaves out of its packages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("tensorflow", "onnxruntime")

# Python runs it at each start, also of the processes that try models out. What the image lacks is not found
# here either, and a library that it lacks must not have been loaded at the end.
SITE = """
import atexit, sys
from importlib.machinery import PathFinder

class Lacking(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in {modules!r} else super().find_spec(name, path, target)

sys.meta_path[:] = [Lacking if one is PathFinder else one for one in sys.meta_path]

@atexit.register
def look():
    with open("/proc/self/maps") as maps:
        loaded = sorted({{line.split()[-1] for line in maps if any(one in line for one in {libraries!r})}})
    if loaded:
        with open({report!r}, "a") as report:
            report.write(repr(loaded))
"""

# One process for all models: importing TensorFlow takes longer than all else here.
TRY_ALL = """
import sys
from model_serving.client.cli import main

records, *models = sys.argv[1:]
sys.exit(max(main(["try", model, records]) for model in models))
"""


def left_out() -> list[str]:
    """What the image's build removes, below site-packages."""
    text = (ROOT / "docker" / "Dockerfile.server").read_text(encoding="utf-8").replace("\\\n", " ")
    (step,) = (line for line in text.splitlines() if line.startswith("RUN cd /opt/model-serving"))
    return [word for call in re.findall(r"rm -rf ([^&;]+)", step) for word in call.split()]


def test_the_list_is_read_from_the_dockerfile() -> None:
    assert {"clang", "keras", "PIL", "tensorflow/include"} <= set(left_out())
    assert set(PACKAGES).isdisjoint(left_out())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_the_sample_models_are_scored_without_it(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs TensorFlow")
    names = left_out()
    report = tmp_path / "loaded"
    site = SITE.format(
        modules={name for name in names if name.isidentifier()},
        libraries=[name.rstrip("*") for name in names if ".so" in name or name.endswith(".libs")],
        report=str(report),
    )
    (tmp_path / "sitecustomize.py").write_text(site, encoding="utf-8")
    models = [
        ROOT / "data" / "models" / name
        for name in ("wine_frozen_graph.pb", "saved/1", "wine_regression.onnx")
    ]
    # No value of the environment's: a flag set there would change what is loaded.
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{tmp_path}:{ROOT}", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", TRY_ALL, ROOT / "data" / "records.csv", *models],
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert not report.exists(), report.read_text()


def test_without_a_module_that_is_needed_it_would_be_noticed(tmp_path: Path) -> None:
    site = SITE.format(modules={"google"}, libraries=[], report=str(tmp_path / "loaded"))
    (tmp_path / "sitecustomize.py").write_text(site, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "import google.protobuf"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "No module named 'google'" in done.stderr
