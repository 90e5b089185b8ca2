from __future__ import annotations

from typing import Any

import pytest

from functions.admission import ModelAdmission
from functions.broadcast import BroadcastModelServing
from functions.keyed import KeyedModelServing
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.settings import ServingSettings

SETTINGS = ServingSettings(
    record_type="nowhere_pb2:Nothing",
    models_topic="models",
    data_topic="mdata",
    waiting=WaitingPolicy(NoModelPolicy.BUFFER, 10, bounded=False),
    keep_versions=3,
    base_dir="/",
    model_size_limit=1,
)


@pytest.mark.parametrize("operator", [KeyedModelServing, BroadcastModelServing, ModelAdmission])
def test_an_operator_whose_open_failed_can_be_closed(operator: Any) -> None:
    """A worker may lack the record type; an error in close would end its TaskManager and all jobs on it."""
    function = operator(SETTINGS)
    with pytest.raises((AttributeError, ValueError)):
        function.open(None)
    function.close()
