"""Tells what a served model takes, by asking its server, for programs that have no record type yet."""

from __future__ import annotations

from model_serving.core.messages import ModelType
from model_serving.core.model_servers.location import read_location
from model_serving.engines.limits import RemoteAccess
from model_serving.engines.model_inputs import ModelInput
from model_serving.engines.remote.access import ModelAccess
from model_serving.engines.remote.interface import ServingProtocol
from model_serving.engines.remote.openinference import OpenInference
from model_serving.engines.remote.tfserving import TfServing

__all__ = ["served_inputs"]


def served_inputs(
    model_type: ModelType, location: str, settings: RemoteAccess, signature_name: str = ""
) -> tuple[ModelInput, ...]:
    """Returns the inputs of a model in the order of its server's metadata.

    Raises:
        ModelRejected: the server does not have the model, or does not serve it.
        Unavailable: the server is out of reach.
    """
    protocol: ServingProtocol = TfServing() if model_type is ModelType.TFSERVING else OpenInference()
    access = ModelAccess(read_location(location, model_type), protocol, settings)
    try:
        access.ready()
        interface = protocol.interface(access.metadata(), signature_name)
    finally:
        access.close()
    return tuple(ModelInput(one.name, one.dtype is None, one.width) for one in interface.inputs)
