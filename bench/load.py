"""``python -m bench.load``: a producer at a steady rate, in a process of its own.

Each record gets the time at which it is due, so what the producer is late counts as latency. A number on the
standard input is a new rate. The process runs until its standard input is closed, then prints its figures as
one line of JSON. `Load` starts and ends it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import Producer

from bench.errors import BenchError
from bench.records import RecordMaker, epoch_ms
from model_serving.client.schedule import steady
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings

__all__ = ["Load", "Sent", "lateness", "main"]

_END_S = 90.0
_SINGLY = 2_000
"""Up to this rate, records a second, each record is sent at once."""

_LINGER_MS = 5
"""The default of Kafka's clients, in Java since 4.0 and in librdkafka; it counts as latency."""

_LISTEN_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Sent:
    """The figures of a producer: records, seconds, and the greatest delay of a record (ms)."""

    records: int
    seconds: float
    late_ms: float

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


class Load:
    """Sends records while the context is open, in turn for a number of data ``types``."""

    def __init__(self, bootstrap_servers: str, topic: str, rate: float, *, types: int = 1) -> None:
        # At high rates the records of some milliseconds are sent together, as Kafka's clients do by default:
        # with a request for each millisecond, requests would load the machine more than records do.
        linger_ms = 0 if rate <= _SINGLY else _LINGER_MS
        self.command = [
            *(sys.executable, "-m", "bench.load", "--bootstrap-servers", bootstrap_servers),
            *("--topic", topic, "--rate", str(rate), "--linger-ms", str(linger_ms)),
            *(("--types", str(types)) if types > 1 else ()),
        ]
        self._process: subprocess.Popen[str] | None = None
        self._sent: Sent | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        return self

    @property
    def sent(self) -> Sent:
        """The figures of the producer. Raises RuntimeError before the end of the context."""
        if self._sent is None:
            raise RuntimeError("the producer still runs")
        return self._sent

    def set_rate(self, rate: float) -> None:
        """Goes on at another rate.

        Raises:
            BenchError: the producer has ended.
        """
        self.check()
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("the producer has not been started")
        self._process.stdin.write(f"{rate:.1f}\n")
        self._process.stdin.flush()

    def check(self) -> None:
        """Raises BenchError when the producer has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise BenchError(
                f"the producer has ended (status {self._process.returncode}): look above for why"
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        try:
            said, _ = process.communicate(timeout=_END_S)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if kind is None:
            if process.returncode:
                raise BenchError(f"the producer failed (status {process.returncode}): look above for why")
            self._sent = Sent(**json.loads(said))


def main(words: list[str]) -> None:
    """Produces until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--linger-ms", type=float, required=True)
    parser.add_argument("--types", type=int, default=1)
    arguments = parser.parse_args(words)
    producer = Producer(
        client_settings(KafkaAccess(arguments.bootstrap_servers))
        | {
            "linger.ms": arguments.linger_ms,
            "queue.buffering.max.messages": 1_000_000,
            # On a busy machine a request is repeated, and a record that comes twice has two results.
            "enable.idempotence": True,
            # A report for each record would cost the machine a sixth of the producer's time.
            "delivery.report.only.error": True,
        }
    )
    maker = RecordMaker(arguments.types)
    records = maker.stream()
    sent, late_ms = 0, 0.0
    rate: float | None = arguments.rate
    begin = time.monotonic()
    while rate is not None:
        said = None
        for due in steady(rate):
            now_ms, unheard = epoch_ms(), 0
            for late, count in lateness(due, rate):
                stamp = maker.record_type.stamp(now_ms - late)
                some = itertools.islice(records, count)
                sent += _produce(producer, arguments.topic, [record + stamp for record in some])
                # If the producer cannot keep up, it has ever more to send, but it must still listen.
                unheard += count
                if unheard >= _LISTEN_EVERY:
                    if (said := _heard()) is not None:
                        break
                    unheard = 0
            late_ms = max(late_ms, (due - 1) / rate * 1000)
            producer.poll(0)
            if said is not None or (said := _heard()) is not None:
                break
        rate = float(said.split()[-1]) if said else None
    seconds = time.monotonic() - begin
    producer.flush(30)
    print(json.dumps({"records": sent, "seconds": seconds, "late_ms": late_ms}))


def lateness(due: int, rate: float) -> Iterator[tuple[int, int]]:
    """How late the records are that are ``due`` now, of ``rate`` a second, the first ones first.

    Yields pairs: whole milliseconds, and how many records are so late. The last record is due just now.
    """
    late = math.floor((due - 1) * 1000 / rate)
    left = due
    while left:
        # Those that are less late than this many milliseconds.
        later = 0 if late == 0 else min(left, math.ceil(late * rate / 1000))
        if later < left:
            yield late, left - later
        left, late = later, min(late - 1, math.floor((later - 1) * 1000 / rate))


def _heard() -> bytes | None:
    """Returns the input so far: None for nothing, a rate, or empty for the end of the input."""
    if not select.select([sys.stdin], [], [], 0)[0]:
        return None
    return os.read(sys.stdin.fileno(), 4096)


def _produce(producer: Producer, topic: str, records: Sequence[bytes]) -> int:
    """Queues records, waits while the queue is full, and returns their number."""
    produce = producer.produce
    for record in records:
        while True:
            try:
                produce(topic, record)
            except BufferError:
                producer.poll(0.01)
            else:
                break
    return len(records)


if __name__ == "__main__":
    main(sys.argv[1:])
