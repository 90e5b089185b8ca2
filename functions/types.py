"""Every type, state descriptor and output tag of the operators.

``PICKLED_BYTE_ARRAY`` carries plain values of this package between operators, and bytes in state: thread mode
moves it as a whole, but a primitive array in state byte by byte. Nothing from outside is ever unpickled.
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
    "KEYED_ROWS",
    "PENDING_CHUNKS",
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

KEYED_ROWS = Types.ROW([Types.STRING(), Types.PICKLED_BYTE_ARRAY()])
"""Row(data type, what is for it). The layout is that of Flink's own keyed Python streams."""

ACTIVATIONS = OutputTag("activations", Types.PICKLED_BYTE_ARRAY())
"""(data type, activation as bytes) for the operators that serve."""

DEAD_LETTERS = OutputTag("dead-letters", BYTES)
STATUSES = OutputTag("statuses", BYTES)
ROLLBACKS = OutputTag("rollbacks", BYTES)
"""Messages for the models topic that take back a failing model."""

SWAPS = OutputTag("swaps", Types.PICKLED_BYTE_ARRAY())
"""(data type, sequence of the activation, reporter, status) from each instance that has carried it out."""

UNMATCHED = OutputTag("unmatched", KEYED_ROWS)
"""Row(data type, packed batches of records) of records for which a broadcast instance had no model."""

HISTORY = ValueStateDescriptor("history", Types.PICKLED_BYTE_ARRAY())
KEPT_MODELS = MapStateDescriptor("kept-models", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
PENDING_MODELS = MapStateDescriptor("pending-models", Types.LONG(), Types.PICKLED_BYTE_ARRAY())
"""Number → model message that is not carried out yet, as it arrived; of a large one, how many chunks it has.
Flink would write a list again, with all its models, each time the first one is taken."""
PENDING_CHUNKS = MapStateDescriptor("pending-chunks", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
"""``<number>/<place, from 0>`` → chunk of a pending message."""
ACTIVE_MODEL = ValueStateDescriptor("active-model", Types.PICKLED_BYTE_ARRAY())
WAITING = ListStateDescriptor("waiting", Types.PICKLED_BYTE_ARRAY())
WAITING_COUNT = ValueStateDescriptor("waiting-count", Types.LONG())
SWAP_REPORTS = MapStateDescriptor("swap-reports", Types.LONG(), Types.PICKLED_BYTE_ARRAY())
"""Sequence of an activation → its reporters so far."""


def broadcast_models() -> MapStateDescriptor:
    """Data type → model. A new object each time, because PyFlink pickles a function with its descriptor."""
    return MapStateDescriptor("models", Types.STRING(), Types.PICKLED_BYTE_ARRAY())


def data_type_of(element: tuple[str, Any]) -> str:
    """The data type of a routed element, which is its key."""
    return element[0]
