"""Faults at named points of the program, switched on and off from a test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Fault"]

_INJECTED = Path(__file__).parent / "injected"


class Fault:
    """Makes each call of ``point``, a ``module:Class.method``, raise an error in a job while it is on.

    ``environ`` is the environment for the job; ``folder`` is for the file that is the switch.
    """

    def __init__(self, point: str, folder: Path) -> None:
        self._point = point
        self._file = folder / "fault"

    @property
    def says(self) -> str:
        """The text of the error."""
        return f"RuntimeError: injected fault at {self._point}"

    @property
    def environ(self) -> Mapping[str, str]:
        path = os.environ.get("PYTHONPATH", "")
        return {
            "MODEL_SERVING_TEST_FAULT": self._point,
            "MODEL_SERVING_TEST_FAULT_FILE": str(self._file),
            "PYTHONPATH": os.pathsep.join([str(_INJECTED), *([path] if path else [])]),
        }

    def switch_on(self) -> None:
        self._file.touch()

    def switch_off(self) -> None:
        self._file.unlink()
