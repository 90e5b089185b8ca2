"""Data types by the digest of their name, for names that a path or a proxy cannot carry."""

from __future__ import annotations

import hashlib
import re

from model_serving.query.ports import Known

__all__ = ["Digests", "digest_of"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(data_type: str) -> str:
    """``sha256:`` and the hex digest of the name in UTF-8."""
    return f"sha256:{hashlib.sha256(data_type.encode()).hexdigest()}"


class Digests:
    """Finds a data type by its digest. A digest that has been computed is remembered."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._names: dict[str, str] = {}
        self._seen: set[str] = set()

    def name_of(self, text: str) -> str:
        """The data type that the text means: a known one with this digest, else the text itself."""
        if not _DIGEST.fullmatch(text):
            return text
        if text not in self._names:
            new = [name for name in self._known.names() if name not in self._seen]
            self._seen.update(new)
            self._names.update((digest_of(name), name) for name in new)
        return self._names.get(text, text)
