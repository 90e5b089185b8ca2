"""A model server for tests, and models that it scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from model_serving.core.engine import LoadedModel, RecordSchema
from model_serving.core.messages import ModelType
from model_serving.engines import engine_for
from model_serving.engines.limits import Limits, RemoteAccess
from model_serving.testing.model_server import FakeModelServer, ServedModel
from tests.unit.engines.remote.served import SCHEMA, SUMS, message_of

ACCESS = RemoteAccess(timeout_ms=20_000)
Load = Callable[..., LoadedModel]


@pytest.fixture
def server() -> Iterator[FakeModelServer]:
    with FakeModelServer(SUMS) as started:
        yield started


@pytest.fixture
def load(server: FakeModelServer) -> Iterator[Load]:
    """``load(kind, model, **fields)`` serves a model and loads it; ``access`` are the settings."""
    loaded: list[LoadedModel] = []

    def make(
        kind: ModelType = ModelType.TFSERVING,
        model: ServedModel = SUMS,
        *,
        access: RemoteAccess = ACCESS,
        location: str = "",
        schema: RecordSchema = SCHEMA,
        **fields: Any,
    ) -> LoadedModel:
        server.models[model.name] = model
        message = replace(message_of(server, kind, model.name), **fields)
        if location:
            message = replace(message, content=location.encode())
        made = engine_for(kind, Limits(remote=access)).load(message, schema)
        loaded.append(made)
        return made

    yield make
    server.behave()
    for one in loaded:
        one.close()
