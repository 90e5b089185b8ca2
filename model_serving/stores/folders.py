"""A folder of files that are written by one process and read by others, at any URL of ``fsspec``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from model_serving.core.model_store import StoreFailed
from model_serving.stores.files import PART, protocols, write_whole
from model_serving.stores.models import without_credentials

__all__ = ["Folder"]


class Folder:
    """Files below a URL; a name may have ``/`` in it. Every file is replaced as a whole.

    A value, because it is sent to other processes with what uses it.
    """

    def __init__(self, url: str) -> None:
        """Opens nothing yet."""
        self._url = url.rstrip("/")
        self._filesystem: Any = None
        self._root = ""

    def __reduce__(self) -> tuple[type[Folder], tuple[str]]:
        return Folder, (self._url,)

    def __str__(self) -> str:
        """The URL, without credentials."""
        return without_credentials(self._url)

    @property
    def is_local(self) -> bool:
        """Whether looking at a file takes microseconds."""
        return "file" in protocols(self._opened())

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none.

        Raises:
            StoreFailed: the folder cannot be read.
        """
        try:
            return bytes(self._opened().cat_file(self._place(name)))
        except FileNotFoundError:
            return None
        # fsspec's file systems pass on any exception of their client libraries.
        except Exception as error:  # noqa: BLE001
            raise self._failed("read", error) from None

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, or replaces it.

        Raises:
            StoreFailed: the file is not written.
        """
        try:
            write_whole(self._opened(), self._place(name), content)
        except Exception as error:  # noqa: BLE001
            raise self._failed("written", error) from None

    def delete(self, name: str) -> None:
        """Deletes a file, if it is there and can be deleted."""
        with suppress(Exception):
            self._opened().rm_file(self._place(name))

    def names(self, inner: str) -> list[str]:
        """The names of the files in an inner folder, sorted; empty if the folder does not exist.

        Raises:
            StoreFailed: the folder cannot be read.
        """
        try:
            filesystem, place = self._opened(), self._place(inner)
            if self.is_local:
                found = [one.name for one in Path(place).iterdir()]
            else:
                filesystem.invalidate_cache(place)
                found = [one.rpartition("/")[2] for one in filesystem.ls(place, detail=False)]
        except FileNotFoundError:
            return []
        except Exception as error:  # noqa: BLE001
            raise self._failed("read", error) from None
        return sorted(name for name in found if not name.endswith(PART))

    def stamp(self, name: str) -> object:
        """A value that changes when the file is replaced; None if there is no file.

        Raises:
            StoreFailed: the folder cannot be read.
        """
        try:
            filesystem, place = self._opened(), self._place(name)
            if self.is_local:
                status = Path(place).stat()
                return status.st_ino, status.st_mtime_ns, status.st_size
            filesystem.invalidate_cache()
            return filesystem.ukey(place)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001
            raise self._failed("read", error) from None

    def _opened(self) -> Any:
        if self._filesystem is None:
            from fsspec.core import url_to_fs

            self._filesystem, root = url_to_fs(self._url)
            self._root = root.rstrip("/")
        return self._filesystem

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _failed(self, what: str, error: Exception) -> StoreFailed:
        why = " ".join(str(error).split()) or type(error).__name__
        return StoreFailed(f"the folder {self} cannot be {what}: {why.replace(self._url, str(self))}")
