"""A stand-in for the model store."""

from __future__ import annotations

from model_serving.core.model_store import StoreFailed

__all__ = ["FakeStore"]


class FakeStore:
    """Objects in memory. While ``broken`` says why, nothing works. ``asked`` are the paths that were read."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.broken = ""
        self.asked: list[str] = []

    def put(self, path: str, content: bytes) -> None:
        self._check()
        self.objects[path] = content

    def get(self, path: str) -> bytes:
        self._check()
        self.asked.append(path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    def delete(self, path: str) -> None:
        self._check()
        self.objects.pop(path, None)

    def __str__(self) -> str:
        return "fake://store"

    def _check(self) -> None:
        if self.broken:
            raise StoreFailed(f"the model store {self} cannot be used: {self.broken}")
