"""Swaps models as fast as a job accepts them, under load, and watches the footprint of its processes.

``python -m tests.faults.many_swaps --swaps 1000 [--engines graph,onnx] [--variant broadcast]``. Each engine's
models come in turn, over several data types, as editions of the same small model. Every tenth model must be
rejected. The footprint after the first swaps is compared with the footprint at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Self

from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.runtime.checkpoints import retained_checkpoints
from tests.faults.footprint import Footprint, Growth, at_rest, growth, report
from tests.faults.swap_models import ENGINES, SwapModel
from tests.job_models import sample_records
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import VARIANTS, FlinkRun, eventually, job_flags

__all__ = ["SLACK", "ManySwaps"]

SETTLED = 100
"""The number of swaps of each engine after which memory must not grow."""

_FIXED_HEAP = "-Xms512m -Xmx512m -XX:+AlwaysPreTouch"
"""By default Java fills its heap up to a quarter of the machine's memory before it frees any of it, which
would hide other growth. With these options all of the heap is resident from the start."""

_DATA_TYPES = 6
_RECORDS_PER_S = 300
_TICK_S = 0.01
_SAMPLE_EVERY_S = 1.0
_FAILING_EVERY = 10
_TELL_EVERY = 100
_WITHIN_S = 60.0

TREND_PERCENT = 3.0
"""The share by which memory may grow, because Java's heap changes by itself."""

SLACK = 12
"""The number of threads or open files that may be added, because pools of Flink and Kafka grow on demand."""


class ManySwaps:
    """A job under load, and its swaps. At the end of the context the job and the load end."""

    def __init__(self, variant: str, engines: Mapping[str, SwapModel], folder: Path) -> None:
        self._variant = variant
        self._engines = dict(engines)
        self._folder = folder
        self._temporary = folder / "temporary"
        self._checkpoints = folder / "checkpoints"
        self._types = [f"type {number}" for number in range(_DATA_TYPES)]
        self._numbers: Iterator[int] = count(1)
        self._offered: Counter[str] = Counter()
        self._carried_out: Counter[str] = Counter()
        self._rejected: set[str] = set()
        self._to_reject: set[str] = set()
        self._samples: list[Footprint] = []
        self._sampled_s = 0.0
        self._told = 0
        self._stopping = threading.Event()
        self._load = threading.Thread(target=self._send_records, name="load", daemon=True)
        self._to_close = ExitStack()
        self.sent: Counter[str] = Counter()
        """Records by data type; ``ts`` numbers them from 1."""

    def __enter__(self) -> Self:
        self._temporary.mkdir()
        with ExitStack() as opened:
            broker = opened.enter_context(EmbeddedBroker(folder=self._folder / "kafka"))
            topics = fresh_topics(broker)
            self._job = opened.enter_context(
                FlinkRun(
                    self._variant,
                    [
                        *job_flags(broker.bootstrap_servers, topics, self._checkpoints, topics.models),
                        *("--checkpoint-interval-ms", "1000"),
                    ],
                    self._folder / "job.log",
                    environ={
                        "TMPDIR": str(self._temporary),
                        "JVM_ARGS": f"{os.environ.get('JVM_ARGS', '')} {_FIXED_HEAP}",
                    },
                )
            )
            self.traffic = opened.enter_context(
                Traffic(self._variant, broker.bootstrap_servers, topics, self._job.check)
            )
            opened.callback(self._stop_records)
            self._load.start()
            self._to_close = opened.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._to_close.__exit__(*raised)  # type: ignore[arg-type]

    @property
    def swaps(self) -> int:
        """The number of completed swaps: models that are or were active."""
        for data_type in self._types:
            for status in self.traffic.statuses[data_type][self._carried_out[data_type] :]:
                self._carried_out[data_type] += 1
                if status.state != ModelStatus.ACTIVE:
                    self._rejected.add(status.version)
        return self._carried_out.total() - len(self._rejected)

    def run(
        self,
        settled: int,
        swaps: int,
        *,
        for_s: float = float("inf"),
        say: Callable[[str], None] = lambda line: None,
    ) -> Growth:
        """Swaps ``settled`` times with each engine, then up to ``swaps`` times or for a number of seconds.

        ``say`` gets the progress now and then.
        """
        self._say = say
        self._swap(settled)
        before = self._rest()
        self._samples.clear()
        self._swap(swaps, time.monotonic() + for_s)
        after = self._rest()
        return growth(before, self._samples, after)

    def verdict(self) -> None:
        """Ends the load, and checks that each record has one right result and each model its status."""
        self._stop_records()
        for data_type, sent in self.sent.items():
            results = self.traffic.await_results(data_type, sent)
            assert sorted(result.submissionTs for result in results) == list(range(1, sent + 1))
            for result in results:
                model = self._engines[result.version.partition(" ")[0]]
                expected = model.sample.expected[(result.submissionTs - 1) % model.known]
                assert abs(result.result - expected) <= model.sample.tolerance, result
        assert self._rejected == self._to_reject
        assert {letter.version for letter in self.traffic.letters} == self._to_reject

    def _swap(self, swaps: int, until_s: float = float("inf")) -> None:
        """Always has one unanswered message of each data type, until each engine has had ``swaps``."""
        wanted = swaps * len(self._engines)
        progress = time.monotonic()
        while (done := self.swaps) < wanted and time.monotonic() < until_s:
            for data_type in self._types:
                if self._carried_out[data_type] == self._offered[data_type]:
                    self._offer(data_type)
                    progress = time.monotonic()
            self.traffic.check()
            assert time.monotonic() - progress < _WITHIN_S, f"no swap for {_WITHIN_S:g} s after {done}"
            if time.monotonic() - self._sampled_s > _SAMPLE_EVERY_S:
                self._samples.append(Footprint.of(self._job.mark, self._temporary, done))
                self._sampled_s = time.monotonic()
                if done >= self._told + _TELL_EVERY * len(self._engines):
                    self._told = done
                    self._say(f"{done:,} swaps: {self._samples[-1]}")
            time.sleep(_TICK_S)

    def _rest(self) -> Footprint:
        """Returns the footprint when every model message has its status."""
        eventually(
            lambda: self.swaps + len(self._rejected) == self._offered.total(),
            lambda: f"statuses of {self._carried_out}, models of {self._offered}",
            within_s=_WITHIN_S,
        )
        # The second checkpoint that completes from now on begins at rest.
        seen: dict[str, int] = {}

        def another() -> bool:
            self.traffic.check()
            seen.update(self._newest_checkpoint())
            return len(seen) > 2

        eventually(another, lambda: f"no new checkpoints: {seen}", within_s=_WITHIN_S)
        return at_rest(self._job.mark, self._temporary, self.swaps, list(seen.values())[-1])

    def _newest_checkpoint(self) -> dict[str, int]:
        """Returns its path and its size in bytes, or nothing while it is being replaced."""
        try:
            for one in retained_checkpoints(str(self._checkpoints)):
                return {one.path: sum(file.stat().st_size for file in Path(one.path).iterdir())}
        except FileNotFoundError:
            pass
        return {}

    def _offer(self, data_type: str) -> None:
        number = next(self._numbers)
        names = list(self._engines)
        name = names[number % len(names)]
        turn = number // len(names)
        version = f"{name} {number}"
        if turn and turn % _FAILING_EVERY == 0:
            self._to_reject.add(version)
            message = self._engines[name].rejected(data_type, version, number, turn // _FAILING_EVERY)
        else:
            message = self._engines[name].message(data_type, version, number)
        self._offered[data_type] += 1
        self.traffic.offer_later(message)

    def _send_records(self) -> None:
        known = min(model.known for model in self._engines.values())
        records = {data_type: sample_records(data_type, known) for data_type in self._types}
        start = time.monotonic()
        while not self._stopping.wait(_TICK_S):
            while self.sent.total() < (time.monotonic() - start) * _RECORDS_PER_S:
                data_type = self._types[self.sent.total() % len(self._types)]
                record = records[data_type][self.sent[data_type] % known]
                self.sent[data_type] += 1
                record.ts = self.sent[data_type]
                self.traffic.stream(record)

    def _stop_records(self) -> None:
        self._stopping.set()
        if self._load.is_alive():
            self._load.join()
            self.traffic.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the swaps as the command line says; the exit status is 1 after growth or a broken promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.many_swaps")
    parser.add_argument("--swaps", type=int, default=1000, help="of each engine (1000)")
    parser.add_argument(
        "--settled", type=int, default=SETTLED, help=f"of each, before it is watched ({SETTLED})"
    )
    parser.add_argument("--engines", default=",".join(ENGINES), help=f"some of {','.join(ENGINES)} (all)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end then, however many it were")
    parser.add_argument("--variant", choices=VARIANTS, default="keyed")
    given = parser.parse_args(arguments)
    try:
        engines = {name: ENGINES[name] for name in given.engines.split(",")}
    except KeyError as unknown:
        parser.error(f"--engines: there is no {unknown}, only {', '.join(ENGINES)}")
    if given.settled >= given.swaps:
        parser.error("--settled must be less than --swaps")
    print(f"{given.variant}: {given.swaps} swaps of each of {', '.join(engines)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="many-swaps-") as folder:
        try:
            with ManySwaps(given.variant, engines, Path(folder)) as running:
                start = time.monotonic()
                found = running.run(
                    given.settled,
                    given.swaps,
                    for_s=60 * given.minutes,
                    say=lambda line: print(line, flush=True),
                )
                took_s = time.monotonic() - start
                running.verdict()
        except AssertionError as broken:
            print(broken, file=sys.stderr)
            raise SystemExit(1) from broken
    print(f"{found.after.swaps / took_s:.1f} swaps/s, {running.sent.total():,} records\n{report(found)}")
    complaints = found.complaints(trend_percent=TREND_PERCENT, slack=SLACK)
    print(*complaints, sep="\n", file=sys.stderr)
    if complaints:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
