"""What a model takes, told from its content without a model library."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.client.model_files import content_at, detect
from model_serving.client.samples import SampleModel, sample_models
from model_serving.core.messages import ModelType
from model_serving.engines.limits import Limits
from model_serving.engines.model_inputs import ModelInput, told_inputs
from tests.job_models import regression_pmml

SAMPLES = sample_models()


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_the_inputs_of_each_sample_model_are_told(sample: SampleModel) -> None:
    content, kind = content_at(sample.path), detect(sample.path)
    inputs = told_inputs(kind, content, Limits())
    assert sum(one.width or 0 for one in inputs) == 11
    assert not any(one.is_text for one in inputs)
    if kind is ModelType.PMML:
        assert (inputs[0].name, inputs[-1].name) == ("fixed acidity", "alcohol")


def test_pmml_types_decide_between_numbers_and_text() -> None:
    content = regression_pmml(1.0, {"age": 1.0}, categories={("city", "Rome"): 1.0}, integers=["age"])
    assert told_inputs(ModelType.PMML, content, Limits()) == (
        ModelInput("age", is_text=False),
        ModelInput("city", is_text=True),
    )


def onnx_model(inputs: dict[str, tuple[Any, list[Any] | None]], weights: list[str]) -> bytes:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Identity", [next(iter(inputs))], ["out"])],
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("out", 1, None)],
        [helper.make_tensor(name, 1, [1], [0.0]) for name in weights],
    )
    content: bytes = helper.make_model(graph).SerializeToString()
    return content


def test_onnx_inputs_are_told_with_their_widths_and_weights_are_not_inputs() -> None:
    content = onnx_model(
        {
            "matrix": (1, ["n", 3]),
            "window": (1, [None, 4, 2]),
            "city": (8, [None, 1]),
            "flat": (7, ["n"]),
            "wide": (1, ["n", "k"]),
            "any": (1, None),
            "w": (1, [1]),
        },
        ["w"],
    )
    assert [(one.name, one.is_text, one.width) for one in told_inputs(ModelType.ONNX, content, Limits())] == [
        ("matrix", False, 3),
        ("window", False, 8),
        ("city", True, 1),
        ("flat", False, 1),
        ("wide", False, None),
        ("any", False, None),
    ]


def test_no_model_library_is_loaded_for_it() -> None:
    code = (
        "import sys, model_serving.engines.model_inputs; "
        "print({'onnx', 'onnxruntime', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@given(st.sampled_from(ModelType), st.binary(max_size=100), st.integers(0, 2000), st.sampled_from(SAMPLES))
def test_whatever_the_content_is_nothing_is_raised(
    kind: ModelType, junk: bytes, at: int, sample: SampleModel
) -> None:
    whole = content_at(sample.path)[:4000]
    for content in (junk, whole[:at] + junk + whole[at:], whole[:at]):
        assert isinstance(told_inputs(kind, content, Limits()), tuple)
