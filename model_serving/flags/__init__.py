"""The flags that all hosts of the serving share: one table, one way to read it, no host in it.

A host adds a table of its own, parses both at once with ``FlagParser``, and derives its configuration from
``ServingConfig``.
"""

from model_serving.flags.config import Delivery, ServingConfig, StartingOffsets
from model_serving.flags.parsing import Flag, FlagParser
from model_serving.flags.table import SHARED

__all__ = ["SHARED", "Delivery", "Flag", "FlagParser", "ServingConfig", "StartingOffsets"]
