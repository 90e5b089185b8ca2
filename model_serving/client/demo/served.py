"""Models for the demo that stay in a model server, which the user names."""

from __future__ import annotations

from collections.abc import Mapping

from model_serving.client.errors import WrongCall
from model_serving.client.model_messages import Details, ModelToPublish
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.core.model_servers.location import read_location

__all__ = ["served_models"]

_VARIABLES = {ModelType.TFSERVING: "DEMO_TFSERVING", ModelType.OPENINFERENCE: "DEMO_OPENINFERENCE"}


def served_models(environ: Mapping[str, str]) -> list[ModelToPublish]:
    """Returns a model for each variable with the URL of a served model.

    ``DEMO_TFSERVING`` is for TensorFlow Serving, ``DEMO_OPENINFERENCE`` for the Open Inference Protocol.

    Raises:
        WrongCall: a variable is not the location of a model of its kind.
    """
    models = []
    for kind, variable in _VARIABLES.items():
        if location := environ.get(variable):
            try:
                read_location(location, kind)
            except ModelRejected as error:
                raise WrongCall(f"{variable}={location}: {error}") from None
            models.append(
                ModelToPublish(
                    location,
                    f"wine by {kind.name}",
                    f"a model at {location}",
                    details=Details(model_type=kind),
                )
            )
    return models
