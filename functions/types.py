"""Every type, state descriptor and output tag of the operators, on one page.

``PICKLED_BYTE_ARRAY`` carries plain values of this package between operators and bytes in state: thread mode
moves it in one piece, a primitive array in state byte by byte. Nothing from outside is ever unpickled.
"""

from __future__ import annotations

from typing import Any

from pyflink.common import Types
from pyflink.datastream import OutputTag
from pyflink.datastream.state import ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor

__all__ = [
    "ACTIVATIONS",
    "ACTIVE_MODEL",
    "BYTES",
    "DEAD_LETTERS",
    "HISTORY",
    "KEPT_MODELS",
    "KEYED_BYTES",
    "KEYED_RECORDS",
    "PENDING_MODELS",
    "ROLLBACKS",
    "STATUSES",
    "SWAPS",
    "SWAP_REPORTS",
    "UNMATCHED",
    "WAITING",
    "WAITING_COUNT",
    "broadcast_models",
    "data_type_of",
]

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
"""A message for Kafka."""

KEYED_BYTES = Types.TUPLE([Types.STRING(), Types.PICKLED_BYTE_ARRAY()])
"""A data type, and the bytes that go to it."""

KEYED_RECORDS = Types.ROW([Types.STRING(), Types.PICKLED_BYTE_ARRAY()])
"""A data type, and packed batches of it and of others that go to the same instance: laid out like Flink's own
keyed streams of Python."""

ACTIVATIONS = OutputTag("activations", Types.PICKLED_BYTE_ARRAY())
"""(data type, activation's bytes) for the operators that serve."""

DEAD_LETTERS = OutputTag("dead-letters", BYTES)
STATUSES = OutputTag("statuses", BYTES)
ROLLBACKS = OutputTag("rollbacks", BYTES)
"""Model messages that take back a model which fails: for the models topic."""

SWAPS = OutputTag("swaps", Types.PICKLED_BYTE_ARRAY())
"""(data type, sequence of the activation, who reports, status): from each instance that carried it out."""

UNMATCHED = OutputTag("unmatched", KEYED_RECORDS)
"""Row(data type, packed batches of records) that came to a broadcast instance without a model for them."""

HISTORY = ValueStateDescriptor("history", Types.PICKLED_BYTE_ARRAY())
KEPT_MODELS = MapStateDescriptor("kept-models", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
PENDING_MODELS = MapStateDescriptor("pending-models", Types.LONG(), Types.PICKLED_BYTE_ARRAY())
"""Number → model message as it came, of those that are not carried out yet. A list would be written anew, all
its models with it, whenever the first one is taken."""
ACTIVE_MODEL = ValueStateDescriptor("active-model", Types.PICKLED_BYTE_ARRAY())
WAITING = ListStateDescriptor("waiting", Types.PICKLED_BYTE_ARRAY())
WAITING_COUNT = ValueStateDescriptor("waiting-count", Types.LONG())
SWAP_REPORTS = MapStateDescriptor("swap-reports", Types.LONG(), Types.PICKLED_BYTE_ARRAY())
"""Sequence of an activation → who has reported it."""


def broadcast_models() -> MapStateDescriptor:
    """Data type → model. Made anew at each use: PyFlink pickles a function together with its descriptor."""
    return MapStateDescriptor("models", Types.STRING(), Types.PICKLED_BYTE_ARRAY())


def data_type_of(element: tuple[str, Any]) -> str:
    """The key of everything that is routed."""
    return element[0]
