"""The model store: any place that ``fsspec`` can write to."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from model_serving.core.model_store import StoreFailed
from model_serving.stores.files import size_of, write_whole

__all__ = ["FsspecModelStore", "missing_client", "store_beside", "without_credentials"]

_USER = re.compile(r"://(?P<user>.*)@")


def without_credentials(url: str) -> str:
    """The URL without user, password and query, for logs and messages."""
    return _USER.sub("://", url).partition("?")[0]


def missing_client(url: str) -> str:
    """What this Python lacks to open URLs of this scheme, in the words of ``fsspec``; empty if nothing."""
    from fsspec.registry import get_filesystem_class

    try:
        get_filesystem_class(url.partition("://")[0])
    except (ImportError, ValueError) as error:
        return " ".join(str(error).split())
    return ""


def store_beside(checkpoint_dir: str) -> str:
    """The model store of a job that names none: the folder ``models`` in the checkpoint folder.

    Empty if Python has no client for the checkpoint folder's URL. All models then stay in state.
    """
    beside = f"{checkpoint_dir.rstrip('/')}/models"
    return "" if missing_client(beside) else beside


class FsspecModelStore:
    """Objects below a URL. The core makes their paths; a path that leads out of the store is refused."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._shown = without_credentials(self._url)
        user = _USER.search(url)
        parts = [] if user is None else [user["user"], *user["user"].split(":")]
        query = url.partition("?")[2]
        secrets = {secret for part in (*parts, query) for secret in (part, unquote(part)) if secret}
        self._secrets = sorted(secrets, key=len, reverse=True)

    def __str__(self) -> str:
        return self._shown

    @property
    def mostly_waits(self) -> bool:
        """Whether a large object takes little processor time: it waits for a disk or a network."""
        return True

    def put(self, path: str, content: bytes) -> None:
        """Stores an object whole or not at all. An object that is there with the same size is not changed.

        Raises:
            StoreFailed: the object is not in the store now.
        """
        try:
            filesystem, place = self._open(path)
            if size_of(filesystem, place) == len(content):
                return
            write_whole(filesystem, place, content)
            found = size_of(filesystem, place)
        # fsspec's file systems pass on any exception of their client libraries.
        except Exception as error:  # noqa: BLE001
            raise self._failed("written", error) from None
        if found != len(content):
            raise StoreFailed(
                f"the model store {self} holds {found} of {len(content)} bytes after they were written"
            )

    def get(self, path: str) -> bytes:
        """The content of an object.

        Raises:
            FileNotFoundError: there is no object at the path.
            StoreFailed: the store cannot be read.
        """
        try:
            filesystem, place = self._open(path)
            return bytes(filesystem.cat_file(place))
        except FileNotFoundError:
            raise FileNotFoundError(path) from None
        except Exception as error:  # noqa: BLE001
            raise self._failed("read", error) from None

    def delete(self, path: str) -> None:
        """Deletes an object, if there is one at the path.

        Raises:
            StoreFailed: the object cannot be deleted.
        """
        try:
            filesystem, place = self._open(path)
            filesystem.rm_file(place)
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001
            raise self._failed("written", error) from None

    def _open(self, path: str) -> tuple[Any, str]:
        # Imported here, because not every process that imports this module has a model in a store.
        from fsspec.core import url_to_fs

        if any(part in ("", ".", "..") for part in path.split("/")):
            raise ValueError("a path leads out of it")
        filesystem, root = url_to_fs(self._url)
        # Other processes write here too.
        filesystem.invalidate_cache()
        return filesystem, f"{root.rstrip('/')}/{path}"

    def _failed(self, what: str, error: Exception) -> StoreFailed:
        why = " ".join(str(error).split()) or type(error).__name__
        for secret in self._secrets:
            why = why.replace(secret, "***")
        return StoreFailed(f"the model store {self} cannot be {what}: {why}")
