"""What the operators are told by the job: plain values, shipped with the functions."""

from __future__ import annotations

from dataclasses import dataclass

from functions.core.waiting import WaitingPolicy

__all__ = ["ServingSettings"]


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """Sizes are bytes. ``base_dir`` is the folder that relative model locations start from."""

    record_type: str
    models_topic: str
    data_topic: str
    waiting: WaitingPolicy
    keep_versions: int
    base_dir: str
    model_size_limit: int
