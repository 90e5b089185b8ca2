"""Tests load models through ``load``, which always closes them at the end of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from model_serving.core.engine import LoadedModel, RecordSchema
from model_serving.core.messages import ModelToServe, ModelType, OutputRule
from model_serving.engines import engine_for

Load = Callable[..., LoadedModel]


@pytest.fixture
def schema() -> RecordSchema:
    """Returns a record type with two numbers and a text."""
    return RecordSchema("Sample", ("first_number", "other"), ("colour",))


@pytest.fixture
def load(schema: RecordSchema) -> Iterator[Load]:
    """Gives ``load(model_type, content, inputs=..., output=..., schema=...)``, which loads a model."""
    loaded: list[LoadedModel] = []
    default_schema = schema

    def load_model(
        model_type: ModelType,
        content: bytes,
        inputs: tuple[str, ...] = (),
        output: OutputRule = OutputRule.AUTO,
        schema: RecordSchema = default_schema,
        result_output: str = "",
        signature_name: str = "",
    ) -> LoadedModel:
        offered = ModelToServe(
            "sample",
            "model",
            model_type,
            "1",
            "",
            content,
            inputs,
            output,
            result_output=result_output,
            signature_name=signature_name,
        )
        model = engine_for(model_type).load(offered, schema)
        loaded.append(model)
        return model

    yield load_model
    for model in loaded:
        model.close()
