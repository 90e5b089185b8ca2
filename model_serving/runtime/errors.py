"""Errors of the set-up.

SetupError                 what a command prints as one line before it exits with status 1
├── JavaNotFoundError      no Java 17 anywhere
├── JarError               a jar could not be fetched, or is not the one that was pinned
│   └── JarMissingError    a jar is not in the cache; the set-up has to run (again)
└── FlinkHomeError         the Flink home cannot be assembled, or is not there
"""

from __future__ import annotations

__all__ = ["FlinkHomeError", "JarError", "JarMissingError", "JavaNotFoundError", "SetupError"]


class SetupError(Exception):
    """Something the user can mend; its text is one line that says what is wrong and what to do next."""


class JavaNotFoundError(SetupError):
    """There is no Java 17."""


class JarError(SetupError):
    """A jar could not be fetched, or differs from the pinned one."""


class JarMissingError(JarError):
    """A jar is not in the cache."""


class FlinkHomeError(SetupError):
    """The Flink home cannot be assembled, or has not been."""
