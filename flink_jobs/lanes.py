"""Chooses keys for partitions, so that they are spread evenly over the instances that gather records.

Flink sends a row to an instance by a hash of its key, and a topic has few partitions. If the partition's
number were the key, partitions 0 and 1 would go to the same one of two instances, and the other would be
idle. So the key of a partition's records is a number whose hash is at a chosen place. The choice does not
depend on the parallelism: a partition keeps its key in a job that is restored with another parallelism, so
its records keep their order.

Source of the assignment: ``KeyGroupRangeAssignment`` (https://nightlies.apache.org/flink/flink-docs-stable/,
"Concepts: Stateful Stream Processing", Key Groups): instance i of n has the i-th part of the key groups.
"""

from __future__ import annotations

__all__ = ["LANE_KEYS", "lane_key"]

LANE_KEYS = (
    *(35, 46, 198, 74, 331, 80, 12, 3, 68, 17, 172, 323, 18, 101, 15, 173, 7, 154, 116, 235, 36, 63),
    *(130, 62, 96, 109, 88, 31, 333, 19, 273, 98, 54, 100, 247, 32, 162, 49, 45, 110, 128, 119, 131, 6),
    *(47, 71, 64, 171, 97, 107, 13, 0, 4, 328, 190, 155, 104, 27, 60, 9, 102, 1, 24, 52, 41, 34),
    *(207, 228, 424, 94, 386, 186, 28, 164, 281, 140, 23, 174, 29, 568, 84, 42, 123, 82, 246, 194, 11),
    *(139, 69, 16, 50, 26, 10, 2, 91, 115, 460, 138, 81, 61, 5, 163, 304, 20, 59, 44, 286, 345, 33),
    *(126, 8, 244, 57, 73, 92, 86, 38, 87, 53, 79, 99, 133, 540, 43, 200, 14, 85, 77),
)
"""At place i, the smallest number whose key group, of 128, is i with its 7 bits reversed: 0, 64, 32, 96, ….
So the key groups of consecutive lanes lie far apart. If Flink changes its hash, they are spread at random."""


def lane_key(partition: str) -> str:
    """SQL for the key of a partition, given SQL for its number. Partitions 128 apart have the same key."""
    keys = ", ".join(str(key) for key in LANE_KEYS)
    return f"ARRAY[{keys}][MOD({partition}, {len(LANE_KEYS)}) + 1]"
