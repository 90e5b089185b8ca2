"""Runs a system that serves while records come at a steady rate, for latency, memory and swap."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.inputs import BenchModel
from bench.jobs import RunningJob, await_growth
from bench.load import Load
from bench.records import data_types
from bench.results import Appended, Results, append_times, read_ours, read_peer
from bench.session import Session
from bench.store import Key
from model_serving.messaging.topics import TopicNames

__all__ = ["Served", "add_broker_warm_up", "serving", "warm_up_broker"]

_DRAIN_S = 60.0
_PEER_OPTIONS = ("--bounded", "false", "--buffer-timeout", "0")


@dataclass(slots=True)
class Served:
    """A running system under load. After the context, ``results`` can be read.

    ``arrived`` are the times when Kafka appended the records, epoch milliseconds, if they were asked for.
    """

    system: str
    command: Sequence[str]
    job: RunningJob
    topics: TopicNames
    load: Load
    found: Results | None = None
    arrived: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def wait(self, seconds: float) -> None:
        """Waits for a number of seconds.

        Raises:
            BenchError: the system or the producer has ended.
        """
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self.job.check()
            self.load.check()
            time.sleep(min(0.5, left_s))

    def within(self, begin: float, end: float) -> npt.NDArray[np.int64]:
        """Returns the latencies, ms, of the records that were sent from ``begin`` to ``end`` (epoch ms).

        Raises:
            BenchError: there are no results of such records.
        """
        sent = self.results.submitted
        chosen = (sent >= begin) & (sent < end)
        if not chosen.any():
            raise BenchError("no result of a record that was sent in the measured time")
        return self.results.appended[chosen] - sent[chosen]

    @property
    def results(self) -> Results:
        """Everything in the results topic. Raises RuntimeError before the load has ended."""
        if self.found is None:
            raise RuntimeError("the results are read when the load has ended")
        return self.found


@contextmanager
def serving(
    session: Session,
    system: str,
    variant: str,
    model: BenchModel,
    rate: float,
    *,
    warm_up_s: float,
    preload: bool = True,
    read: bool = True,
    arrivals: bool = False,
    peer_options: Sequence[str] = (),
    types: int = 1,
    flags: Sequence[str] = (),
) -> Iterator[Served]:
    """Starts a system that serves ``model``, and sends it records while the context is open.

    Args:
        session: the session.
        system: ``ours`` or ``peer``.
        variant: the variant of the job.
        model: the model.
        rate: records a second.
        warm_up_s: the context begins this number of seconds after the first result.
        preload: whether the peer has the model from the start, or reads it from the models topic.
        read: whether to read the results afterwards.
        arrivals: whether to read the times at which the records arrived, too.
        peer_options: more options of the peer.
        types: the number of data types, in turn, each with its own edition of the model.
        flags: more flags of this project's job.

    Raises:
        BenchError: the system does not start, rejects the model, or loses records.
    """
    topics = session.topics(f"{system}-")
    session.kafka.create(topics)
    if system == "ours":
        command = session.ours(variant, topics, flags=flags)
    else:
        command = session.peers(variant, topics, model if preload else None, *_PEER_OPTIONS, *peer_options)
        if not preload:
            session.kafka.publish(topics.models, [model.message().SerializeToString()])
    with session.run(command) as job:
        if system == "ours":
            job.await_start()
            # With one data type the bytes are those of the model's file.
            messages = [
                model.message(name, edition=number).SerializeToString()
                for number, name in enumerate(data_types(types))
            ]
            session.serve(job, topics, messages, types)
        load = Load(session.kafka.bootstrap_servers, topics.data, rate, types=types)
        served = Served(system, command, job, topics, load)
        with load:
            await_growth(lambda: session.kafka.count(topics.results), 1, job)
            served.wait(warm_up_s)
            yield served
        _drain(session, served)
        if read:
            reader = read_ours if system == "ours" else read_peer
            served.found = reader(session.kafka, topics.results)
        if arrivals:
            served.arrived = append_times(session.kafka, topics.data)
    session.kafka.remove(*topics.all())


def add_broker_warm_up(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that says how long ``warm_up_broker`` takes."""
    parser.add_argument(
        "--broker-warm-up",
        type=float,
        default=90.0,
        help="seconds of the first case's load on the new broker, before the first round (90)",
    )


def warm_up_broker(
    session: Session, keys: Sequence[Key], rate: Callable[[Key], float], seconds: float
) -> None:
    """Lets the broker take the load of the first case that is not stored yet, without measuring it.

    In its first minute or two, Java's compilers take up to half of a core, and whoever is measured
    first would have the latency of that.
    """
    key = next((key for key in keys if not session.is_stored(key)), None)
    if key is None or not seconds:
        return
    variant, model = str(key["variant"]), session.models[str(key["model"])]
    session.say(f"the new broker takes the load for {seconds:g} s before the first round")
    try:
        with serving(session, "ours", variant, model, rate(key), warm_up_s=seconds, read=False):
            pass
    except BenchError as error:
        # The case itself will say so too.
        session.say(f"the broker is still new: {error}")


def _drain(session: Session, served: Served) -> None:
    """Waits for the results of all records. The peer begins in the middle, so it waits until no more come."""
    sent = served.load.sent
    end = time.monotonic() + _DRAIN_S
    have, same = -1, 0
    results = Appended(session.kafka, served.topics.results, sent.records)
    while same < 4:
        served.job.check()
        now = results.count()
        same = same + 1 if now == have else 0
        have = now
        if served.system == "ours" and now >= sent.records:
            break
        if time.monotonic() > end:
            raise BenchError(f"{now} of {sent.records} results {_DRAIN_S:g} s after the last record")
        time.sleep(0.5)
    if served.system == "ours" and have != sent.records:
        raise BenchError(f"{have} results for {sent.records} records: {served.job.last_words()}")
