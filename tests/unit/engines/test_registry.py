"""The registry of engines: limits reach them, other packages bring their own."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.model_servers.location import SCORED_BY_A_SERVER
from model_serving.engines import registry
from model_serving.engines.limits import Limits
from model_serving.engines.registry import EngineSpec, engine_for, spec_of

SCHEMA = RecordSchema("Point", ("x",))
THEIRS = """
from model_serving.core.messages import ModelType
from model_serving.engines import EngineSpec


class TheirEngine:
    def __init__(self, limits):
        self.limits = limits


SPEC = EngineSpec(ModelType.ONNX, "their_engine:TheirEngine", native=False)
NOT_A_SPEC = TheirEngine
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with a package that brings an engine for ONNX."""
    (tmp_path / "their_engine.py").write_text(THEIRS)
    info = tmp_path / "their_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\nonnx = their_engine:SPEC\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._specs.cache_clear()
    yield info
    registry._specs.cache_clear()
    sys.modules.pop("their_engine", None)


@pytest.mark.usefixtures("installed")
def test_another_package_takes_a_format_over() -> None:
    spec = spec_of(ModelType.ONNX)
    assert (spec.engine, spec.native) == ("their_engine:TheirEngine", False)
    limits = Limits(1, 2)
    engine = engine_for(ModelType.ONNX, limits)
    assert (type(engine).__name__, vars(engine)) == ("TheirEngine", {"limits": limits})
    assert spec_of(ModelType.PMML).extra == "pmml", "the others stay"


def test_an_entry_point_that_is_not_a_spec_is_a_fault_that_names_it(installed: Path) -> None:
    (installed / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\nx = their_engine:NOT_A_SPEC\n")
    with pytest.raises(
        TypeError, match=r"^the entry point x = their_engine:NOT_A_SPEC is not an EngineSpec$"
    ):
        spec_of(ModelType.PMML)


def test_every_spec_names_a_class_that_can_be_made() -> None:
    made = {kind: type(engine_for(kind)).__module__ for kind in ModelType}
    assert made == {kind: spec_of(kind).engine.partition(":")[0] for kind in made}
    assert {kind for kind in made if not spec_of(kind).native} == {ModelType.PMML, *SCORED_BY_A_SERVER}


def packed() -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("saved_model.pb", b"x" * 100)
    return content.getvalue()


@pytest.mark.parametrize(
    ("kind", "content", "why"),
    [
        (ModelType.PMML, b"<PMML/>" + b" " * 100, "the limit is 50: .* --pmml-size-limit"),
        (ModelType.TENSORFLOWSAVED, packed(), "unpacks to more than 60 bytes: .* --unpacked-size-limit"),
    ],
)
def test_limits_reach_the_engines(kind: ModelType, content: bytes, why: str) -> None:
    model = ModelToServe("wine", "m", kind, "1", "", content)
    with pytest.raises(ModelRejected, match=why):
        engine_for(kind, Limits(unpacked_bytes=60, pmml_bytes=50)).load(model, SCHEMA)


def test_a_library_that_no_extra_brings_is_named() -> None:
    spec = EngineSpec(ModelType.ONNX, "a:B", ("no_such_library",))
    with pytest.raises(ModelRejected, match=r"pip install no_such_library there"):
        registry._require(spec)
