"""Prints the key groups, of 128, that Flink gives to rows of one number; the numbers are the arguments."""

from __future__ import annotations

import json
import sys

from pyflink.java_gateway import get_gateway

KEY_GROUPS = 128

if __name__ == "__main__":
    flink = get_gateway().jvm.org.apache.flink
    groups = []
    for number in map(int, sys.argv[1:]):
        row = flink.table.data.binary.BinaryRowData(1)
        writer = flink.table.data.writer.BinaryRowWriter(row)
        writer.writeInt(0, number)
        writer.complete()
        groups.append(flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup(row, KEY_GROUPS))
    print(json.dumps(groups))
