"""A model store in memory, and locations."""

from __future__ import annotations

from collections.abc import Mapping

from model_serving.core.errors import ModelRejected
from model_serving.core.model_store import StoreFailed

__all__ = ["FakeLocations", "FakeStore"]


class FakeStore:
    """Objects in memory. See ``core.model_store.ModelStore``.

    While ``broken`` holds a reason, every call fails with it. ``asked`` are the paths that were read.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.broken = ""
        self.asked: list[str] = []
        self.mostly_waits = True

    def put(self, path: str, content: bytes) -> None:
        """See ``core.model_store.ModelStore``."""
        self._check()
        self.objects[path] = content

    def get(self, path: str) -> bytes:
        """See ``core.model_store.ModelStore``."""
        self._check()
        self.asked.append(path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    def delete(self, path: str) -> None:
        """See ``core.model_store.ModelStore``."""
        self._check()
        self.objects.pop(path, None)

    def __str__(self) -> str:
        return "fake://store"

    def _check(self) -> None:
        if self.broken:
            raise StoreFailed(f"the model store {self} cannot be used: {self.broken}")


class FakeLocations:
    """A reader of locations, over contents in memory; ``asked`` are the locations that were read."""

    def __init__(self, contents: Mapping[str, bytes] | None = None) -> None:
        self.contents = dict(contents or {})
        self.asked: list[str] = []

    def __call__(self, location: str) -> bytes:
        """The content at the location.

        Raises:
            ModelRejected: there is no content at the location.
        """
        self.asked.append(location)
        if location not in self.contents:
            raise ModelRejected(f"nothing is at {location}")
        return self.contents[location]
