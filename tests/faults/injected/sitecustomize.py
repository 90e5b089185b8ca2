"""Imported by every Python that has this folder on its path: lets a job fail at a named point.

MODEL_SERVING_TEST_FAULT is ``module:Class.method``, MODEL_SERVING_TEST_FAULT_FILE a file: as long as that
is there, each call of the method raises. The product has no such switch; it is put in from outside when the
module is imported.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from functools import wraps
from types import ModuleType
from typing import Any

_POINT = os.environ.get("MODEL_SERVING_TEST_FAULT", "")
_FILE = os.environ.get("MODEL_SERVING_TEST_FAULT_FILE", "")


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        module, _, place = _POINT.partition(":")
        if name != module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(loaded: ModuleType) -> None:
            execute(loaded)
            class_name, method = place.split(".")
            _spoil(getattr(loaded, class_name), method)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign, assignment]
        return spec


def _spoil(owner: type, method: str) -> None:
    good = getattr(owner, method)

    @wraps(good)
    def spoilt(*args: Any, **kwargs: Any) -> Any:
        if os.path.exists(_FILE):  # noqa: PTH110 - as light as can be, it runs for every batch
            raise RuntimeError(f"injected fault at {_POINT}")
        return good(*args, **kwargs)

    setattr(owner, method, spoilt)


if _POINT:
    sys.meta_path.insert(0, _Finder())
