"""The engines, one folder for each model format. Importing this package loads no model library."""

from model_serving.engines.registry import EngineSpec, engine_for

__all__ = ["EngineSpec", "engine_for"]
