"""ONNX models whose weights are in files beside them, as PyTorch's exporter writes them by default."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from model_serving.client.model_files import UnknownModelFile, content_at, detect
from model_serving.core.messages import ModelType
from tests.unit.engines.onnx_builders import external


def outside(**entries: str) -> bytes:
    """Returns an ONNX model whose weights are in a file."""
    model = ModelProto.FromString(external())
    (weights,) = model.graph.initializer
    del weights.external_data[:]
    for key, value in entries.items():
        weights.external_data.add(key=key, value=value)
    return model.SerializeToString()


WEIGHTS = np.array([2.0, 3.0], np.float32).tobytes()


@pytest.mark.parametrize(
    ("entries", "content"),
    [
        ({}, WEIGHTS),
        ({"offset": "4096", "length": "8"}, bytes(4096) + WEIGHTS + b"more"),
        ({"offset": "0", "length": "8", "checksum": "any"}, WEIGHTS),
    ],
)
def test_weights_are_put_into_the_model(tmp_path: Path, entries: dict[str, str], content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.onnx.data").write_bytes(content)
    (tmp_path / "model.onnx").write_bytes(outside(location="data/model.onnx.data", **entries))
    whole = ModelProto.FromString(content_at(tmp_path / "model.onnx"))
    onnx.checker.check_model(whole)
    (weights,) = whole.graph.initializer
    assert numpy_helper.to_array(weights).ravel().tolist() == [2.0, 3.0]
    assert detect(tmp_path / "model.onnx") is ModelType.ONNX
    (tmp_path / "whole.onnx").write_bytes(whole.SerializeToString())
    assert content_at(tmp_path / "whole.onnx") == (tmp_path / "whole.onnx").read_bytes()


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ({"location": "../secret"}, "its weights are not beside it, but in ../secret"),
        ({"location": "/etc/passwd"}, "its weights are not beside it, but in /etc/passwd"),
        ({"location": "link"}, "its weights are not beside it, but in link"),
        ({"location": ".hidden/key"}, "its weights are not beside it, but in .hidden/key"),
        ({"location": ""}, "models: not a file"),
        ({"location": "absent"}, "absent: No such file or directory"),
        ({"location": "weights", "length": "9"}, "which is too short"),
        ({"location": "weights", "length": "-1"}, "which is too short"),
        ({"location": "weights", "offset": "9" * 30}, "its weights are in"),
    ],
)
def test_weights_that_are_not_beside_the_model_are_refused(
    tmp_path: Path, entries: dict[str, str], why: str
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(WEIGHTS)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "weights").write_bytes(WEIGHTS)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "key").write_bytes(WEIGHTS)
    (folder / "model.onnx").write_bytes(outside(**entries))
    with pytest.raises(UnknownModelFile) as refused:
        content_at(folder / "model.onnx")
    assert why in str(refused.value)
    assert str(refused.value).endswith("(in PyTorch torch.onnx.export(..., external_data=False))")


def test_links_in_a_cache_of_models_are_followed(tmp_path: Path) -> None:
    """The Hugging Face cache has files by digest in one folder, and links with their names in another."""
    for folder in ("blobs", "snapshot"):
        (tmp_path / folder).mkdir()
    (tmp_path / "blobs" / "one").write_bytes(outside(location="weights"))
    (tmp_path / "blobs" / "two").write_bytes(WEIGHTS)
    (tmp_path / "snapshot" / "model.onnx").symlink_to(tmp_path / "blobs" / "one")
    (tmp_path / "snapshot" / "weights").symlink_to(tmp_path / "blobs" / "two")
    assert WEIGHTS in content_at(tmp_path / "snapshot" / "model.onnx")
