"""The tables of a model in a session, and what they have."""

from __future__ import annotations

from typing import Any

__all__ = ["first_keys"]

_TABLES = frozenset({"HashTableV2", "MutableHashTableV2"})
_MOST_KEYS = 1_000_000


def first_keys(tf: Any, session: Any) -> list[tuple[str, str | float]]:
    """Returns a key of each table of texts or whole numbers, each behind an empty name.

    Tables that are empty, that share their name with an earlier one, or that have more than a million keys
    are left out.
    """
    found: list[tuple[str, str | float]] = []
    tables = [operation for operation in session.graph.get_operations() if operation.type in _TABLES]
    for table in tables:
        kinds = [tf.as_dtype(table.get_attr(name)) for name in ("key_dtype", "value_dtype")]
        if not (kinds[0] == tf.string or kinds[0].is_integer):
            continue
        with session.graph.as_default():
            handle = table.outputs[0]
            size = tf.raw_ops.LookupTableSizeV2(table_handle=handle)
            keys, _ = tf.raw_ops.LookupTableExportV2(table_handle=handle, Tkeys=kinds[0], Tvalues=kinds[1])
        if 0 < session.run(size) <= _MOST_KEYS:
            key = session.run(keys).ravel()[0]
            found.append(("", key.decode("utf-8", "replace") if isinstance(key, bytes) else float(key)))
    return found
