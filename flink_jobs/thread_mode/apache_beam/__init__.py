"""Stands before Apache Beam on the import path of thread mode's interpreter, and steps aside after the start.

PyFlink's package for running functions imports Beam when it is imported itself, only to see whether both have
compiled parts that fit together. Process mode uses these parts, thread mode does not: there Beam and what it
imports (pandas, pyarrow) take over a second of processor time and 120 MB. So this import fails here, as if
Beam were not installed. Every later import gets the real package.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ()

# PyFlink makes its trial before any part of the package, such as this one, is imported.
if "pyflink.fn_execution.embedded" not in sys.modules:
    raise ImportError("PyFlink's thread mode does without Apache Beam")

_OWN = Path(__file__).resolve().parents[1]
_found = PathFinder.find_spec(__name__, [folder for folder in sys.path if Path(folder).resolve() != _OWN])
if _found is None or _found.loader is None:
    raise ModuleNotFoundError(f"No module named {__name__!r}", name=__name__)
__spec__, __loader__, __file__ = _found, _found.loader, str(_found.origin)
__path__ = list(_found.submodule_search_locations or ())
_found.loader.exec_module(sys.modules[__name__])
