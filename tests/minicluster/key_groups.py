"""Prints Flink's key groups, of 128, for rows of one value, given as a JSON list of numbers or texts.

    python key_groups.py '[1, 2]'
    python key_groups.py '["wine"]'

Rows of numbers are hashed as in SQL, rows of texts as in streams.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pyflink.java_gateway import get_gateway

KEY_GROUPS = 128


def row_of(value: int | str) -> Any:
    flink = get_gateway().jvm.org.apache.flink
    if isinstance(value, str):
        row = flink.types.Row(1)
        row.setField(0, value)
        return row
    row = flink.table.data.binary.BinaryRowData(1)
    writer = flink.table.data.writer.BinaryRowWriter(row)
    writer.writeInt(0, value)
    writer.complete()
    return row


if __name__ == "__main__":
    assign = get_gateway().jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup
    print(json.dumps([assign(row_of(value), KEY_GROUPS) for value in json.loads(sys.argv[1])]))
