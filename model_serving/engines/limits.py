"""How large a model may become when it is read."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes: of all that a SavedModel's archive unpacks to, and of a PMML document."""

    unpacked_bytes: int = 2 * 1024**3
    pmml_bytes: int = 64 * 1024**2
