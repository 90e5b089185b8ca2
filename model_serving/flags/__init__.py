"""The flags that all hosts share: their table, and how they are read. Nothing here depends on a host.

A host adds a table of its own, parses both tables at once with ``FlagParser``, and derives its configuration
from ``ServingConfig``.
"""

from model_serving.flags.config import Delivery, ServingConfig, StartingOffsets
from model_serving.flags.parsing import Flag, FlagParser
from model_serving.flags.table import SHARED

__all__ = ["SHARED", "Delivery", "Flag", "FlagParser", "ServingConfig", "StartingOffsets"]
