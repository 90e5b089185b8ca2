"""The core's state in memory, for hosts without Flink: bytes by data type, which a test can read."""

from __future__ import annotations

from collections import defaultdict

from model_serving.core.state import decode_history

__all__ = [
    "InMemoryActiveModels",
    "InMemoryKeptModels",
    "InMemoryPendingModels",
    "InMemorySwapReports",
    "InMemoryWaitingRecords",
]


class InMemoryKeptModels:
    """See ``core.ports.KeptModels``."""

    def __init__(self) -> None:
        self.histories: dict[str, bytes] = {}
        self.models: dict[tuple[str, str], bytes] = {}

    def history(self, data_type: str) -> bytes | None:
        """See ``core.ports.KeptModels``."""
        return self.histories.get(data_type)

    def save_history(self, data_type: str, history: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self.histories[data_type] = history

    def model(self, data_type: str, version: str) -> bytes:
        """See ``core.ports.KeptModels``."""
        return self.models[data_type, version]

    def save_model(self, data_type: str, version: str, model: bytes) -> None:
        """See ``core.ports.KeptModels``."""
        self.models[data_type, version] = model

    def drop_model(self, data_type: str, version: str) -> None:
        """See ``core.ports.KeptModels``."""
        del self.models[data_type, version]

    def versions(self, data_type: str) -> list[str]:
        """The kept versions, oldest first.

        Raises:
            AssertionError: a version is kept without its model, or a model without its version.
        """
        history = decode_history(self.histories.get(data_type)).kept
        keys = sorted(kept.key for kept in history)
        if keys != sorted(key for of, key in self.models if of == data_type):
            raise AssertionError(f"the versions {keys} and the models {sorted(self.models)} differ")
        return [kept.version for kept in history]


class InMemoryPendingModels:
    """See ``core.ports.PendingModels``."""

    def __init__(self) -> None:
        self.messages: defaultdict[str, dict[int, bytes]] = defaultdict(dict)

    def numbers(self, data_type: str) -> list[int]:
        """See ``core.ports.PendingModels``."""
        return list(self.messages[data_type])

    def get(self, data_type: str, number: int) -> bytes:
        """See ``core.ports.PendingModels``."""
        return self.messages[data_type][number]

    def put(self, data_type: str, number: int, payload: bytes) -> None:
        """See ``core.ports.PendingModels``."""
        self.messages[data_type][number] = payload

    def remove(self, data_type: str, number: int) -> None:
        """See ``core.ports.PendingModels``."""
        del self.messages[data_type][number]


class InMemoryActiveModels:
    """See ``core.ports.ActiveModels``."""

    def __init__(self) -> None:
        self.models: dict[str, bytes] = {}

    def get(self, data_type: str) -> bytes | None:
        """See ``core.ports.ActiveModels``."""
        return self.models.get(data_type)

    def put(self, data_type: str, model: bytes) -> None:
        """See ``core.ports.ActiveModels``."""
        self.models[data_type] = model

    def remove(self, data_type: str) -> None:
        """See ``core.ports.ActiveModels``."""
        self.models.pop(data_type, None)


class InMemoryWaitingRecords:
    """See ``core.ports.WaitingRecords``."""

    def __init__(self) -> None:
        self.records: defaultdict[str, list[bytes]] = defaultdict(list)
        self.counts: dict[str, int] = {}

    def count(self, data_type: str) -> int:
        """See ``core.ports.WaitingRecords``."""
        return self.counts.get(data_type, 0)

    def add(self, data_type: str, records: bytes, count: int) -> None:
        """See ``core.ports.WaitingRecords``."""
        self.records[data_type].append(records)
        self.counts[data_type] = count

    def take(self, data_type: str) -> list[bytes]:
        """See ``core.ports.WaitingRecords``."""
        self.counts.pop(data_type, None)
        return self.records.pop(data_type, [])


class InMemorySwapReports:
    """See ``core.ports.SwapReports``."""

    def __init__(self) -> None:
        self.reports: defaultdict[str, dict[int, bytes]] = defaultdict(dict)

    def sequences(self, data_type: str) -> list[int]:
        """See ``core.ports.SwapReports``."""
        return list(self.reports[data_type])

    def get(self, data_type: str, sequence: int) -> bytes | None:
        """See ``core.ports.SwapReports``."""
        return self.reports[data_type].get(sequence)

    def put(self, data_type: str, sequence: int, reporters: bytes) -> None:
        """See ``core.ports.SwapReports``."""
        self.reports[data_type][sequence] = reporters

    def remove(self, data_type: str, sequence: int) -> None:
        """See ``core.ports.SwapReports``."""
        del self.reports[data_type][sequence]
