"""A producer that is faster than the job: ``python -m tests.faults.overload --minutes 10 --variant keyed``.

The load begins with a modest rate. Then it is about 1.3 times the job's current rate for the given minutes,
so that the backlog can be scored in less time than it took to grow. Then it is the modest rate again. During
the overload more records of data types without a model come than may wait.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.errors import BenchError
from bench.figures import Latency, latency
from bench.inputs import small_regression
from bench.load import Load, Sent
from bench.records import DATA_TYPE, data_types, epoch_ms
from bench.results import read_ours
from bench.topics import Kafka
from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.runtime.checkpoints import retained_checkpoints
from tests.faults.kills import marked
from tests.faults.overload_findings import Findings, Phase, Sample
from tests.job_serving import fresh_topics
from tests.jobs import VARIANTS, FlinkRun, eventually, job_flags

__all__ = ["Overload"]

_MODEST = 500.0
"""Records a second before and after the overload."""

_UNSERVED_TYPES = 2
_UNSERVED = 500.0
"""Records a second of data types without a model, during the overload."""

_BUFFER_LIMIT = 500
_FASTER = 1.3
_FIRST_RATE = 300_000.0
_STEP_S = 1.0
_SAY_EVERY_S = 30.0
_BYTES_A_SECOND = 60e6
"""The bytes that 280,000 records a second and their results take on the broker's disk."""


class Overload:
    """A job and its overload. At the end of the context the job ends."""

    def __init__(self, variant: str, broker: EmbeddedBroker, folder: Path) -> None:
        self._topics = fresh_topics(broker)
        self._kafka = Kafka(broker.bootstrap_servers)
        self._checkpoints = folder / "checkpoints"
        flags = job_flags(broker.bootstrap_servers, self._topics, self._checkpoints, self._topics.models)
        self._job = FlinkRun(variant, [*flags, "--buffer-limit", str(_BUFFER_LIMIT)], folder / "overload.log")
        self._begin_s = time.monotonic()
        self._samples: list[Sample] = []
        self._last = (0.0, 0)

    def run(
        self, seconds: float, say: Callable[[str], None], *, modest_s: float, settle_s: float
    ) -> Findings:
        """Puts the job under ``seconds`` of overload, between ``modest_s`` at the modest rate each.

        ``settle_s`` is left out of the latency before (the job is new) and after (the clients are).

        Raises:
            AssertionError: the job ends, or something that is waited for does not come.
        """
        with self._job:
            self._publish(DATA_TYPE)
            before, first = self._modestly(Phase.BEFORE, modest_s, settle_s)
            say(f"before: {_MODEST:,.0f}/s, latency p50 {before.p50:.0f} ms, p99 {before.p99:.0f} ms")
            checkpoints = self._completed()
            begin_s = time.monotonic()
            sent, unserved = self._flood(seconds, say)
            overload_s = time.monotonic() - begin_s
            completed = self._completed() - checkpoints
            drained_s = self._drain(unserved, within_s=60 + overload_s)
            say(f"backlog worked off in {drained_s:.0f} s")
            after, last = self._modestly(Phase.AFTER, modest_s, settle_s)
            say(f"after: {_MODEST:,.0f}/s, latency p50 {after.p50:.0f} ms, p99 {after.p99:.0f} ms")
            waited = self._serve_waiting()
            return Findings(
                before=before,
                after=after,
                samples=tuple(self._samples),
                overload_s=overload_s,
                drained_s=drained_s,
                completed_checkpoints=completed,
                produced=first.records + sent.records + unserved.records + last.records,
                in_topic=self._kafka.count(self._topics.data),
                results=self._kafka.count(self._topics.results),
                letters=self._kafka.count(self._topics.dead_letters),
                without_model=unserved.records,
                waited=waited,
                buffered=_UNSERVED_TYPES * _BUFFER_LIMIT,
                restarts=self._job.printed().count("the job failed and restarts"),
            )

    def _publish(self, *names: str) -> None:
        before = self._kafka.count(self._topics.status)
        messages = [small_regression(name, 0).SerializeToString() for name in names]
        self._kafka.publish(self._topics.models, messages)
        self._await(
            lambda: self._kafka.count(self._topics.status) == before + len(names),
            lambda: f"the models are not served:\n{self._job.printed()[-2000:]}",
            within_s=90,
        )

    def _modestly(self, phase: Phase, seconds: float, settle_s: float) -> tuple[Latency, Sent]:
        """Latency at the modest rate, from Kafka's log-append time of the result."""
        first = self._kafka.count(self._topics.results)
        with self._load(_MODEST) as load:
            self._sampled(phase, settle_s)
            begin = epoch_ms()
            self._sampled(phase, seconds)
            end = epoch_ms()
        sent = load.sent
        self._await(
            lambda: self._kafka.count(self._topics.results) - first >= sent.records,
            lambda: f"results are missing {phase.value} the overload: {sent.records} were sent",
            within_s=60,
        )
        results = read_ours(self._kafka, self._topics.results, first=first)
        chosen = (results.submitted >= begin) & (results.submitted < end)
        return latency(results.appended[chosen] - results.submitted[chosen]), sent

    def _flood(self, seconds: float, say: Callable[[str], None]) -> tuple[Sent, Sent]:
        rate = served = _FIRST_RATE
        say_s = time.monotonic() + _SAY_EVERY_S
        self._last = (time.monotonic(), self._out())
        with self._load(rate) as load, self._load(_UNSERVED, types=_UNSERVED_TYPES) as unserved:
            end, most_lag = time.monotonic() + seconds, 0
            # The overload lasts at most twice the time, if the job needs that long to fall behind.
            while (now := time.monotonic()) < end or (most_lag < 2 * served and now < end + seconds):
                self._sampled(Phase.OVERLOAD, _STEP_S)
                served = (served + self._rate()) / 2
                most_lag = max(most_lag, self._samples[-1].lag)
                behind = self._samples[-1].lag > served / 2
                # The job's own rate is not known until the job falls behind.
                rate = _FASTER * served if behind else 1.5 * rate
                if most_lag < 2 * served:
                    rate = max(rate, _FIRST_RATE)
                load.set_rate(rate)
                if time.monotonic() >= say_s:
                    say_s += _SAY_EVERY_S
                    say(f"overload: {served:,.0f} served a second; {self._samples[-1]}")
        return load.sent, unserved.sent

    def _drain(self, unserved: Sent, *, within_s: float) -> float:
        """Waits until only the records that may wait are left, and returns the seconds that it took."""
        begin = time.monotonic()
        waiting = _UNSERVED_TYPES * min(_BUFFER_LIMIT, unserved.records // _UNSERVED_TYPES)

        def gone() -> bool:
            self._sampled(Phase.DRAIN, 0)
            return self._samples[-1].lag <= waiting

        self._await(gone, lambda: f"the backlog stays: {self._samples[-1]}", within_s=within_s)
        return time.monotonic() - begin

    def _serve_waiting(self) -> int:
        """Publishes the missing models, and returns the number of records that had waited for them."""
        before = self._kafka.count(self._topics.results)
        self._publish(*data_types(_UNSERVED_TYPES))
        self._await(
            lambda: self._lag() == 0,
            lambda: f"{self._lag()} records have neither result nor dead letter",
            within_s=30,
        )
        return self._kafka.count(self._topics.results) - before

    def _load(self, rate: float, *, types: int = 1) -> Load:
        return Load(self._kafka.bootstrap_servers, self._topics.data, rate, types=types)

    def _sampled(self, phase: Phase, seconds: float) -> None:
        """Waits, with a sample each second and one at the end."""
        end = time.monotonic() + seconds
        while True:
            self._job.check()
            at_s = time.monotonic() - self._begin_s
            self._samples.append(Sample(phase, at_s, self._lag(), _resident_mib(self._job.mark)))
            if (left_s := end - time.monotonic()) <= 0:
                return
            time.sleep(min(1.0, left_s))

    def _rate(self) -> float:
        (before_s, before), now_s, now = self._last, time.monotonic(), self._out()
        self._last = now_s, now
        return (now - before) / (now_s - before_s)

    def _lag(self) -> int:
        # Results are counted first: records that are sent between the two counts can only increase the lag.
        out = self._out()
        return self._kafka.count(self._topics.data) - out

    def _out(self) -> int:
        return self._kafka.count(self._topics.results) + self._kafka.count(self._topics.dead_letters)

    def _completed(self) -> int:
        """Returns the number of the newest checkpoint."""
        newest = next(iter(retained_checkpoints(str(self._checkpoints))), None)
        return newest.number or 0 if newest else 0

    def _await(self, condition: Callable[[], bool], what: Callable[[], str], *, within_s: float) -> None:
        def checked() -> bool:
            self._job.check()
            return condition()

        eventually(checked, what, within_s=within_s, step_s=0.5)


def _resident_mib(mark: str) -> float:
    total = 0
    for process in marked(mark):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / 2**20


def main() -> None:
    """Runs an overload as the command line says; the exit status is 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.overload")
    parser.add_argument("--minutes", type=float, default=10.0, help="of overload (10)")
    parser.add_argument("--variant", choices=VARIANTS, default=VARIANTS[0])
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    with tempfile.TemporaryDirectory(prefix="overload-") as folder:
        if (free := shutil.disk_usage(folder).free) < (needed := seconds * _BYTES_A_SECOND):
            parser.error(
                f"{folder} has {free / 1e9:.0f} GB free, Kafka may take {needed / 1e9:.0f}: see TMPDIR"
            )
        try:
            with EmbeddedBroker(folder=Path(folder) / "kafka") as broker:
                found = Overload(arguments.variant, broker, Path(folder)).run(
                    seconds, lambda line: print(line, flush=True), modest_s=40, settle_s=15
                )
        except (AssertionError, BenchError) as broken:
            print(f"overload: {broken}", file=sys.stderr)
            raise SystemExit(1) from broken
    print(found)
    for line in found.broken():
        print(f"overload: {line}", file=sys.stderr)
    raise SystemExit(bool(found.broken()))


if __name__ == "__main__":
    main()
