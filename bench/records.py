"""The records of the benchmark: sample records of one size on the wire."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from model_serving.client.record_files import DEFAULT_RECORD_TYPE, RecordType, load_record_type, read_records
from model_serving.client.samples import sample_records

__all__ = ["DATA_TYPE", "RECORD_BYTES", "RecordMaker", "data_types", "epoch_ms"]

DATA_TYPE = "wine"
RECORD_BYTES = 103
"""The size of a record with the data type ``wine`` and a time of these years."""


def epoch_ms() -> int:
    """Returns the time now, epoch milliseconds, from the same clock as Kafka's log-append time here."""
    return time.time_ns() // 1_000_000


def data_types(count: int) -> list[str]:
    """Returns the names of ``count`` data types; a single one is ``wine``."""
    return [DATA_TYPE] if count == 1 else [f"{DATA_TYPE}-{number}" for number in range(count)]


class RecordMaker:
    """Makes serialized records, with the data types in turn and the sample records in turn.

    It uses only sample records with ``RECORD_BYTES`` bytes (a field that is 0 takes no bytes).
    """

    def __init__(self, types: int = 1) -> None:
        self.record_type: RecordType = load_record_type(DEFAULT_RECORD_TYPE)
        spare = RECORD_BYTES - len(self.record_type.stamp(epoch_ms()))
        whole = read_records(sample_records(), self.record_type, DATA_TYPE)
        fitting = [number for number, record in enumerate(whole) if len(record) == spare]
        names = data_types(types)
        # The field of the data type follows the measurements, so it can be cut off and replaced.
        tail = len(self.record_type.message(dataType=DATA_TYPE).SerializeToString())
        ends = [self.record_type.message(dataType=name).SerializeToString() for name in names]
        heads = [whole[number][:-tail] for number in fitting]
        if types == 1:
            self.bodies = [head + ends[0] for head in heads]
        else:
            self.bodies = [head + end for end, head in zip(ends, itertools.cycle(heads), strict=False)]

    def stream(self, first: int = 0) -> Iterator[bytes]:
        """Yields records without a time, for ever, from number ``first`` on."""
        return itertools.islice(itertools.cycle(self.bodies), first % len(self.bodies), None)
