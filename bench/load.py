"""``python -m bench.load``: a producer at a steady rate, as a process of its own.

Each record gets the clock's time at its send. A number on its standard input is a new rate. It runs until
that is closed, then prints what it did as one line of JSON. `Load` is the side of the one that measures.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import Producer

from bench.errors import BenchError
from bench.records import RecordMaker, epoch_ms
from model_serving.client.schedule import steady
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import client_settings

__all__ = ["Load", "Sent", "main"]

_END_S = 90.0
_LISTEN_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Sent:
    """What a producer did: records, seconds, and how late (ms) the latest record was against the schedule."""

    records: int
    seconds: float
    late_ms: float

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


class Load:
    """Sends for as long as the context is open, the records of so many data ``types`` in turn."""

    def __init__(self, bootstrap_servers: str, topic: str, rate: float, *, types: int = 1) -> None:
        # At high rates a millisecond's records go together: a request for each would load the broker more
        # than the job under test does.
        linger_ms = 0 if rate <= 2_000 else 1
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
        """What it did. Raises RuntimeError before the end of the context."""
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
        | {"linger.ms": arguments.linger_ms, "queue.buffering.max.messages": 1_000_000}
    )
    maker = RecordMaker(arguments.types)
    records = maker.stream()
    sent, late_ms = 0, 0.0
    rate: float | None = arguments.rate
    begin = time.monotonic()
    while rate is not None:
        said = None
        for due in steady(rate):
            stamp = maker.record_type.stamp(epoch_ms())
            for _ in range(due):
                _produce(producer, arguments.topic, next(records) + stamp)
                sent += 1
                # One that cannot keep up has more to send each time: it listens all the same.
                if sent % _LISTEN_EVERY == 0 and (said := _heard()) is not None:
                    break
            late_ms = max(late_ms, (due - 1) / rate * 1000)
            producer.poll(0)
            if said is not None or (said := _heard()) is not None:
                break
        rate = float(said.split()[-1]) if said else None
    seconds = time.monotonic() - begin
    producer.flush(30)
    print(json.dumps({"records": sent, "seconds": seconds, "late_ms": late_ms}))


def _heard() -> bytes | None:
    """What has come on standard input: nothing (None), a rate, or its end (empty)."""
    if not select.select([sys.stdin], [], [], 0)[0]:
        return None
    return os.read(sys.stdin.fileno(), 4096)


def _produce(producer: Producer, topic: str, record: bytes) -> None:
    while True:
        try:
            producer.produce(topic, record)
        except BufferError:
            producer.poll(0.01)
        else:
            return


if __name__ == "__main__":
    main(sys.argv[1:])
