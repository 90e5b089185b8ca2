"""The demo publishes a served model for each model server that its user names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from model_serving.client.demo.__main__ import read_settings
from model_serving.client.errors import WrongCall
from model_serving.client.model_messages import Content, build_message
from model_serving.client.samples import sample_records
from model_serving.client.trying.check import ModelCheck
from model_serving.core.messages import ModelType
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.settings import ServingSettings
from model_serving.testing.model_server import FakeModelServer, ServedModel
from model_serving.testing.served_model import TensorSpec

SETTINGS = ServingSettings(
    record_type="model_serving.protos.winerecord_pb2:WineRecord",
    models_topic="models",
    data_topic="mdata",
    waiting=WaitingPolicy(NoModelPolicy.DROP, 0, bounded=True),
    keep_versions=1,
    base_dir="/",
    model_size_limit=1 << 20,
)


def alcohol(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {"quality": tensors["features"][:, -1:]}


WINE = ServedModel(
    "wine",
    {"features": TensorSpec(np.dtype(np.float64), (-1, 11))},
    {"quality": TensorSpec(np.dtype(np.float64), (-1, 1))},
    alcohol,
)


def test_without_a_server_there_is_none() -> None:
    assert read_settings({"DEMO_TFSERVING": "", "DEMO_OPENINFERENCE": ""}).served == []


def test_a_served_model_of_each_kind_is_published_and_scores_the_sample_records() -> None:
    with FakeModelServer(WINE) as server:
        locations = {
            "TFSERVING": server.tfserving("wine"),
            "OPENINFERENCE": server.openinference("wine"),
        }
        models = read_settings({f"DEMO_{kind}": place for kind, place in locations.items()}).served
        messages = [build_message(model, data_type="wine", content=Content.DATA) for model in models]
        assert {ModelType(one.modeltype).name: one.location for one in messages} == locations
        # The demo tells models apart by their names.
        assert len({one.name for one in messages}) == 2
        for message in messages:
            tried = ModelCheck(sample_records(), SETTINGS, data_type="wine", examples=1)(message)
            assert tried.examples[0].expected == 9.2


@pytest.mark.parametrize(
    ("variable", "location"),
    [
        ("DEMO_TFSERVING", "http://host:8501/v2/models/wine"),
        ("DEMO_OPENINFERENCE", "host:8080"),
        ("DEMO_OPENINFERENCE", "http://user@host/v2/models/wine"),
    ],
)
def test_a_wrong_location_is_one_line_that_names_its_variable(variable: str, location: str) -> None:
    with pytest.raises(WrongCall, match=f"^{variable}={location}: a model of the type .* needs a location"):
        read_settings({variable: location})
