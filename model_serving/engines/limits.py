"""How large a model may become when it is read."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The greatest sizes, in bytes, of an unpacked SavedModel archive and of a PMML document."""

    unpacked_bytes: int = 2 * 1024**3
    pmml_bytes: int = 64 * 1024**2
