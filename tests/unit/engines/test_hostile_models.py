"""Hostile models are refused before they are unpacked or run, within limits of time and memory."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe, ModelType, OutputRule
from model_serving.engines import engine_for
from model_serving.engines.content import tell
from model_serving.engines.limits import Limits
from tests.hostile_models import archive_bombs, outward_onnx, xml_bombs
from tests.patience import patience

LIMITS = Limits(unpacked_bytes=64 << 20, pmml_bytes=20 << 20)
MOST_MEMORY = 500 << 20
MOST_SECONDS = 30
SECRET = b"root of all secrets"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Returns a file that no model may read."""
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the folder for temporary folders during the test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def refusal(kind: ModelType, content: bytes) -> str:
    """Returns the text of the refusal of a model. It may take neither much time nor much memory."""
    schema = RecordSchema("Sample", ("first_number", "other"))
    model = ModelToServe("sample", "model", kind, "1", "", content, (), OutputRule.AUTO)
    before, start = peak_bytes(), time.monotonic()
    with pytest.raises(ModelRejected) as caught:
        engine_for(kind, LIMITS).load(model, schema).close()
    assert time.monotonic() - start < patience(MOST_SECONDS)
    assert peak_bytes() - before < MOST_MEMORY
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 800
    assert SECRET.decode() not in text
    return text


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("what", list(xml_bombs("")))
def test_xml(what: str, secret: Path) -> None:
    content, says = xml_bombs(secret.as_uri())[what]
    assert says in refusal(ModelType.PMML, content)


def test_a_pmml_document_of_200_mb_is_not_even_parsed() -> None:
    content = b"<PMML>" + bytes(200 << 20)
    assert refusal(ModelType.PMML, content) == (
        "the PMML document has 209,715,206 bytes, but the limit is 20,971,520: "
        "use a smaller model, or raise --pmml-size-limit"
    )


@pytest.mark.parametrize("what", list(archive_bombs()))
def test_archives(what: str, temporary: Path) -> None:
    content, says = archive_bombs()[what]
    assert says in refusal(ModelType.TENSORFLOWSAVED, content)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("what", list(outward_onnx("")))
def test_onnx(what: str, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(secret.parent)
    for file in (secret.name, f"../{secret.parent.name}/{secret.name}", str(secret)):
        content, says = outward_onnx(file)[what]
        assert says in refusal(ModelType.ONNX, content)


def test_hostile_models_are_told_at_once_or_left_to_their_engine() -> None:
    hostile = [(ModelType.PMML, content) for content, _ in xml_bombs("file:///etc/passwd").values()]
    hostile += [(ModelType.TENSORFLOWSAVED, content) for content, _ in archive_bombs().values()]
    for model_type, content in hostile:
        start = time.process_time()
        kind = tell(content)
        assert time.process_time() - start < 1
        assert kind is None or kind.model_type in {model_type, None}
