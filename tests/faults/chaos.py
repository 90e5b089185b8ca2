"""A seeded mix of faults under one load: ``python -m tests.faults.chaos --minutes 10 --seed 7``.

The seed decides the variant, the delivery, the execution mode of Python, and the order of the faults. Each
kind of fault occurs once before any of them occurs again. In the end the multiset of results is compared with
the records that were sent, and the dead letters with the poison.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from tests.faults.drill import Drill
from tests.faults.injection import Fault
from tests.faults.kills import broker_process, kill_now, marked
from tests.faults.numbered_load import STEADY, NumberedLoad, numbered_record
from tests.job_serving import fresh_topics, widen
from tests.job_traffic import Traffic
from tests.jobs import FRESH, MODEL_SERVING, VARIANTS, FlinkRun, eventually, job_flags, launcher_from
from tests.patience import patience

__all__ = ["Chaos", "Plan", "plan"]

_PARTITIONS = 2
_POISON = 20
_DELIVERIES = ("at-least-once", "exactly-once")
_MODES = ("thread", "process")


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings that a seed decides before a run."""

    variant: str
    delivery: str
    mode: str


def plan(random_: random.Random) -> Plan:
    """Returns the settings of a run's job."""
    return Plan(random_.choice(VARIANTS), random_.choice(_DELIVERIES), random_.choice(_MODES))


class Chaos:
    """A job under a numbered load, and the faults that may strike it. At the end of the context all ends.

    ``restart_attempts`` are the failures in a row after which the job gives up.
    """

    def __init__(self, chosen: Plan, seed: int, folder: Path, *, restart_attempts: int = 1000) -> None:
        self.chosen = chosen
        self.restart_attempts = restart_attempts
        self._random = random.Random(seed)
        self._folder = folder
        self._checkpoints = folder / "checkpoints"
        self._fault = Fault("model_serving.core.scoring.server:Server.serve", folder)
        self._to_close = ExitStack()
        self._runs: list[FlinkRun] = []
        self._parallelism = 1
        self._poison: list[bytes] = []
        self.struck: list[tuple[str, float]] = []
        """Each fault that struck, and the seconds that it took to recover."""

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self._broker = opened.enter_context(
                EmbeddedBroker(folder=self._folder / "kafka", retention=Retention.KEEP)
            )
            # The models topic keeps its one partition, because there is no order between two partitions.
            self._topics = fresh_topics(self._broker)
            widen(self._broker, self._topics.data, _PARTITIONS)
            self._start(opened)
            traffic = opened.enter_context(
                Traffic(self.chosen.variant, self._broker.bootstrap_servers, self._topics, self._check)
            )
            load = opened.enter_context(NumberedLoad(traffic))
            self._drill = Drill(
                traffic, load, self._checkpoints, exactly_once=self.chosen.delivery == "exactly-once"
            )
            self._to_close = opened.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._to_close.__exit__(*raised)  # type: ignore[arg-type]

    def run(self, seconds: float, say: Callable[[str], None]) -> None:
        """Causes each kind of fault once, then more of them until the time is up, and checks the results."""
        end = time.monotonic() + seconds
        faults = list(self._faults.items())
        self._random.shuffle(faults)
        number = 0
        while number < len(faults) or time.monotonic() < end:
            name, fault = faults[number] if number < len(faults) else self._random.choice(faults)
            number += 1
            took_s = self._drill.strike(f"{number} {name}", fault)
            self.struck.append((name, took_s))
            say(f"{name}: back after {took_s:.1f} s")
        say(str(self._drill.verdict(poison=self._poison)))

    def never_mend(self) -> tuple[str, FlinkRun]:
        """Causes a fault that stays, and waits until the job has given up. Can be called once, at the end.

        Returns:
            The cause of each failure, and the run that has ended with it.
        """
        run = self._runs[-1]
        self._fault.switch_on()
        self._drill.traffic.stream(numbered_record(STEADY, self._drill.load.sent[STEADY] + 1))
        assert run.await_end(within_s=120) != 0
        return self._fault.says, run

    @property
    def last_words(self) -> str:
        """Returns the end of the last ``flink run``'s output."""
        return self._runs[-1].printed()[-3000:] if self._runs else "nothing"

    @property
    def _faults(self) -> dict[str, Callable[[], None]]:
        return {
            "kill -9 of flink run, restored by hand": self._kill_run,
            "kill -9 of the broker, which returns": self._kill_broker,
            "a fault that passes": self._pass,
            "stopped with a savepoint, restored with another parallelism": self._rescale,
            "poison on both topics": self._send_poison,
        }

    def _check(self) -> None:
        self._runs[-1].check()

    def _start(self, closing: ExitStack, launcher: Sequence[str] = FRESH) -> None:
        flags = [
            *job_flags(self._broker.bootstrap_servers, self._topics, self._checkpoints, self._topics.models),
            *("--checkpoint-interval-ms", "1000", "--restart-attempts", str(self.restart_attempts)),
            *("--delivery", self.chosen.delivery, "--execution-mode", self.chosen.mode),
            *("--parallelism", str(self._parallelism)),
        ]
        self._runs.append(
            closing.enter_context(
                FlinkRun(
                    self.chosen.variant,
                    flags,
                    self._folder / f"job-{len(self._runs)}.log",
                    environ=self._fault.environ,
                    launcher=launcher,
                )
            )
        )

    def _kill_run(self) -> None:
        kill_now(*marked(self._runs[-1].mark))
        newest = subprocess.run(
            [MODEL_SERVING, "checkpoints", "--checkpoint-dir", str(self._checkpoints), "--last"],
            capture_output=True, text=True, timeout=patience(30), check=True,
        ).stdout.strip()  # fmt: skip
        self._start(self._to_close, launcher_from(newest))

    def _kill_broker(self) -> None:
        kill_now(broker_process(self._broker))
        self._broker.stop()
        self._broker.start()

    def _pass(self) -> None:
        run = self._runs[-1]
        before = run.printed().count("the job failed and restarts")
        self._fault.switch_on()
        try:
            eventually(
                lambda: run.printed().count("the job failed and restarts") > before,
                lambda: f"no restart is told:\n{run.printed()[-2000:]}",
                within_s=60,
            )
        finally:
            self._fault.switch_off()

    def _rescale(self) -> None:
        run = self._runs[-1]
        assert run.stop() == 0, run.printed()[-2000:]
        self._parallelism = 3 - self._parallelism
        self._start(self._to_close, launcher_from(run.savepoint()))

    def _send_poison(self) -> None:
        traffic = self._drill.traffic
        junk = [b"\xff" + self._random.randbytes(40) for _ in range(_POISON)]
        for one in junk:
            traffic.stream(one)
        bad = ModelDescriptor(
            name="poison", dataType=STEADY, modeltype="PMML", data=b"<PMML" + self._random.randbytes(8)
        ).SerializeToString()
        traffic.offer(bad)
        self._poison += [*junk, bad]


def main() -> None:
    """Runs chaos as the command line says; the exit status is 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos")
    parser.add_argument(
        "--minutes",
        type=float,
        default=1.0,
        help="when each kind of fault has struck once, none strikes later (1)",
    )
    parser.add_argument("--seed", type=int, default=None, help="a number; another one each time unless given")
    arguments = parser.parse_args()
    seed = int(time.time()) if arguments.seed is None else arguments.seed
    chosen = plan(random.Random(seed))
    print(f"seed {seed}: {chosen.variant}, {chosen.delivery}, {chosen.mode} mode", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        chaos = Chaos(chosen, seed, Path(folder))
        try:
            with chaos:
                chaos.run(60 * arguments.minutes, lambda line: print(line, flush=True))
        except AssertionError as broken:
            print(f"seed {seed}: {broken}\nthe job said last:\n{chaos.last_words}", file=sys.stderr)
            raise SystemExit(1) from broken


if __name__ == "__main__":
    main()
