"""Number fields of a fixed length, read together."""

from __future__ import annotations

import struct

import numpy as np

from model_serving.wire.number_runs import FixedNumber, NumberRun, number_runs


def test_fields_of_one_type_at_equal_distances_are_one_run() -> None:
    fields = [FixedNumber(column, 1 + 9 * column, "<f8") for column in range(4)]
    assert number_runs(fields) == (NumberRun(0, 4, 1, 9, "<f8"),)


def test_another_type_distance_or_column_begins_a_new_run() -> None:
    fields = [
        FixedNumber(0, 1, "<f8"),
        FixedNumber(1, 10, "<f8"),
        FixedNumber(2, 20, "<f8"),
        FixedNumber(3, 30, "<f4"),
        FixedNumber(5, 35, "<f4"),
    ]
    assert number_runs(fields) == (
        NumberRun(0, 2, 1, 9, "<f8"),
        NumberRun(2, 1, 20, 0, "<f8"),
        NumberRun(3, 1, 30, 0, "<f4"),
        NumberRun(5, 1, 35, 0, "<f4"),
    )


def test_fields_that_stand_backwards_in_the_message_are_a_run_too() -> None:
    (run,) = number_runs([FixedNumber(0, 17, "<f4"), FixedNumber(1, 9, "<f4"), FixedNumber(2, 1, "<f4")])
    numbers = np.zeros((1, 3))
    message = bytearray(21)
    for start, number in ((17, 1.5), (9, 2.5), (1, 3.5)):
        message[start : start + 4] = struct.pack("<f", number)
    run.read(np.frombuffer(bytes(message), dtype=np.uint8).reshape(1, -1), numbers)
    assert numbers.tolist() == [[1.5, 2.5, 3.5]]


def test_a_run_writes_its_columns_only() -> None:
    rows = [(1.0, 2.0), (3.0, float("inf"))]
    table = np.frombuffer(b"".join(b"t" + struct.pack("<dxd", *row) for row in rows), dtype=np.uint8)
    numbers = np.full((2, 4), -1.0)
    NumberRun(1, 2, 1, 9, "<f8").read(table.reshape(2, -1), numbers)
    assert numbers.tolist() == [[-1, 1, 2, -1], [-1, 3, float("inf"), -1]]
