"""The limits and policies that hold where a model is tried: those of a job with the same settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from model_serving.client.errors import WrongCall
from model_serving.core.scoring.waiting import NoModelPolicy, WaitingPolicy
from model_serving.flags import SHARED
from model_serving.flags.values import Wrong
from model_serving.settings import ServingSettings

__all__ = ["LIMITS", "settings_of"]

_NAMES = (
    "model-size-limit",
    "missing",
    "load-timeout-s",
    "trial-timeout-s",
    "trial-memory-limit",
    "unpacked-size-limit",
    "pmml-size-limit",
    "remote-timeout-ms",
    "remote-headers-file",
    "remote-ca-file",
)

LIMITS = tuple(flag for flag in SHARED if flag.name in _NAMES)
"""The flags of the jobs that decide whether a model is admitted and a record is scored."""


def settings_of(options: argparse.Namespace, record_type: str) -> ServingSettings:
    """Returns a job's settings from the values of ``LIMITS`` in ``options``, which are texts.

    Raises:
        WrongCall: a flag does not take its value.
    """
    values = {}
    for flag in LIMITS:
        try:
            values[flag.attribute] = flag.read(getattr(options, flag.attribute))
        except Wrong as wrong:
            raise WrongCall(f"--{flag.name}: {wrong}") from None
    return ServingSettings(
        record_type=record_type,
        models_topic="",
        data_topic="",
        waiting=WaitingPolicy(NoModelPolicy.DROP, 0, bounded=True),
        keep_versions=1,
        base_dir=str(Path.cwd()),
        **values,
    )
