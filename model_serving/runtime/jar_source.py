"""Fetches jars with jgo, a resolver of Maven coordinates written in Python.

Only this module uses jgo; `model_serving.runtime.jars` uses a JarSource.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from model_serving.runtime.errors import JarError

__all__ = ["JarSource", "JgoSource", "resolve_closure"]

_REQUEST_TIMEOUT_S = 30
_RUN_TIME_SCOPES = frozenset({None, "compile", "runtime"})


class JarSource(Protocol):
    """Fetches the jar of a coordinate."""

    def fetch(self, coordinate: str, folder: Path) -> Path:
        """Downloads the jar of `coordinate` into `folder`, which only this call uses, and returns its path.

        Raises:
            JarError: the jar cannot be fetched; the content of `folder` is of no use then.
        """


class JgoSource:
    """Fetches from Maven Central."""

    def fetch(self, coordinate: str, folder: Path) -> Path:
        """See JarSource."""
        import requests
        from jgo.maven import MavenContext

        # jgo only warns when a checksum differs from the repository's. Here the pinned checksum decides.
        logging.getLogger("jgo").setLevel(logging.ERROR)
        context = MavenContext(repo_cache=folder, timeout=_REQUEST_TIMEOUT_S)
        group, artifact, version = coordinate.split(":")
        try:
            return Path(context.project(group, artifact).at_version(version).artifact().resolve())
        except (requests.RequestException, RuntimeError, OSError) as failure:
            raise JarError(f"{coordinate} could not be downloaded ({_reason(failure)})") from failure


def resolve_closure(coordinate: str, folder: Path) -> Iterator[str]:
    """Yields the coordinate, and those of everything that it needs at run time, nearest first.

    Raises:
        JarError: the coordinate cannot be resolved.
    """
    import requests
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=folder, timeout=_REQUEST_TIMEOUT_S)
    try:
        roots, needed = context.resolver.resolve([context.create_dependency(coordinate)])
    except (requests.RequestException, RuntimeError, OSError) as failure:
        raise JarError(f"{coordinate} could not be resolved ({_reason(failure)})") from failure
    for jar in (*roots, *needed):
        if jar.scope in _RUN_TIME_SCOPES and not jar.optional:
            yield f"{jar.groupId}:{jar.artifactId}:{jar.version}"


def _reason(failure: Exception) -> str:
    import requests

    if isinstance(failure, requests.ConnectionError):
        return "no connection"
    if isinstance(failure, requests.Timeout):
        return "no answer in time"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    # jgo's own text has addresses on several lines, so only the kind of the error is shown.
    return "not found in the repository" if isinstance(failure, RuntimeError) else type(failure).__name__
