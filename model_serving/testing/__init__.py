"""Fakes for tests of code that is built on the core: an engine, a clock, records, state and a model store.

This project's own tests use them. Each fake has the methods of the Protocol that it stands for.
"""

from model_serving.testing.clock import FakeClock
from model_serving.testing.engines import FakeEngine, FakeModel, Script
from model_serving.testing.messages import FakeMessages
from model_serving.testing.records import (
    POINT,
    FakeFeatures,
    Point,
    ServedRow,
    point,
    points,
    read_point,
    served_rows,
)
from model_serving.testing.state import (
    InMemoryActiveModels,
    InMemoryKeptModels,
    InMemoryPendingModels,
    InMemorySwapReports,
    InMemoryWaitingRecords,
)
from model_serving.testing.store import FakeLocations, FakeStore

__all__ = [
    "POINT",
    "FakeClock",
    "FakeEngine",
    "FakeFeatures",
    "FakeLocations",
    "FakeMessages",
    "FakeModel",
    "FakeStore",
    "InMemoryActiveModels",
    "InMemoryKeptModels",
    "InMemoryPendingModels",
    "InMemorySwapReports",
    "InMemoryWaitingRecords",
    "Point",
    "Script",
    "ServedRow",
    "point",
    "points",
    "read_point",
    "served_rows",
]
