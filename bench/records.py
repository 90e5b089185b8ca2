"""The records that go in: sample records of one size on the wire."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from model_serving.client.record_files import DEFAULT_RECORD_TYPE, RecordType, load_record_type, read_records
from model_serving.client.samples import sample_records

__all__ = ["DATA_TYPE", "RECORD_BYTES", "RecordMaker", "data_types", "epoch_ms"]

DATA_TYPE = "wine"
RECORD_BYTES = 103
"""Of a record with the data type ``wine`` and a time of these years."""


def epoch_ms() -> int:
    """Now, epoch milliseconds: the clock that Kafka's log-append time is taken from on the same machine."""
    return time.time_ns() // 1_000_000


def data_types(count: int) -> list[str]:
    """The names of so many data types; one is ``wine``."""
    return [DATA_TYPE] if count == 1 else [f"{DATA_TYPE}-{number}" for number in range(count)]


class RecordMaker:
    """Serialized records, the data types in turn, the sample records in turn.

    Only those sample records are taken that have ``RECORD_BYTES`` bytes (a field that is 0 takes none).
    """

    def __init__(self, types: int = 1) -> None:
        self.record_type: RecordType = load_record_type(DEFAULT_RECORD_TYPE)
        spare = RECORD_BYTES - len(self.record_type.stamp(epoch_ms()))
        whole = read_records(sample_records(), self.record_type, DATA_TYPE)
        fitting = [number for number, record in enumerate(whole) if len(record) == spare]
        names = data_types(types)
        # The field of the data type follows the measurements: it is taken off and set anew.
        tail = len(self.record_type.message(dataType=DATA_TYPE).SerializeToString())
        ends = [self.record_type.message(dataType=name).SerializeToString() for name in names]
        heads = [whole[number][:-tail] for number in fitting]
        if types == 1:
            self.bodies = [head + ends[0] for head in heads]
        else:
            self.bodies = [head + end for end, head in zip(ends, itertools.cycle(heads), strict=False)]

    def stream(self, first: int = 0) -> Iterator[bytes]:
        """Records without a time, for ever, from number ``first`` on."""
        return itertools.islice(itertools.cycle(self.bodies), first % len(self.bodies), None)
