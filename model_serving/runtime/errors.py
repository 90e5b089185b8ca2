"""Errors of the set-up.

SetupError                 a command prints it as one line and exits with status 1
├── JavaNotFoundError      no Java 17 was found
├── JarError               a jar could not be fetched, or is not the pinned one
│   └── JarMissingError    a jar is not in the cache; run the set-up (again)
├── FlinkHomeError         the Flink home cannot be assembled, or is missing
└── ClassDataError         an archive of Java's classes cannot be made; everything works without it
"""

from __future__ import annotations

__all__ = [
    "ClassDataError",
    "FlinkHomeError",
    "JarError",
    "JarMissingError",
    "JavaNotFoundError",
    "SetupError",
]


class SetupError(Exception):
    """Something that the user can fix. The text is one line that says what is wrong and what to do next."""


class JavaNotFoundError(SetupError):
    """No Java 17 was found."""


class JarError(SetupError):
    """A jar could not be fetched, or differs from the pinned one."""


class JarMissingError(JarError):
    """A jar is not in the cache."""


class FlinkHomeError(SetupError):
    """The Flink home cannot be assembled, or is missing."""


class ClassDataError(SetupError):
    """An archive of Java's classes cannot be made."""
