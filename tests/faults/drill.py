"""Causes one fault after another under a numbered load, with the same checks after each fault."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from model_serving.protos.servingresult_pb2 import ServingResult
from model_serving.runtime.checkpoints import RetainedCheckpoint, retained_checkpoints
from tests.faults.numbered_load import STEADY, SWAPPED, NumberedLoad, numbered_model
from tests.faults.tally import Tally, longest_silence, tally
from tests.job_traffic import Traffic
from tests.jobs import eventually

__all__ = ["Drill"]

_WAITING = 40
_WITHIN_S = 180.0


class Drill:
    """Causes faults in a job under load, and checks what must be true after its recovery.

    ``exactly_once`` is the job's delivery, ``checkpoints`` the folder of its checkpoints; None: it has none.
    At each fault, records of a data type without a model are waiting. They must be scored when their model
    comes afterwards.
    """

    def __init__(
        self, traffic: Traffic, load: NumberedLoad, checkpoints: Path | None, *, exactly_once: bool
    ) -> None:
        self.traffic = traffic
        self.load = load
        self._checkpoints = checkpoints
        self._exactly_once = exactly_once
        self._waiting: list[str] = []

    def strike(self, name: str, fault: Callable[[], None]) -> float:
        """Waits until the job serves steadily, calls ``fault``, and waits until the job serves again.

        The fault may repair what it broke (start a broker again).

        Returns:
            The time to recover: seconds from the call to the first result after the longest silence.
        """
        waiting = f"waits for {name}"
        self._waiting.append(waiting)
        self.load.send_waiting(waiting, _WAITING)
        self.in_full_swing()
        if self._checkpoints is not None:
            # The second checkpoint that completes from now on begins after the waiting records were read.
            self.await_checkpoints(2)
        struck_s, struck_at = time.monotonic(), Counter(self.load.sent)
        swaps = self.load.versions
        fault()
        self._await(
            lambda: (
                self.newest(STEADY) > struck_at[STEADY]
                and self.newest(SWAPPED) > struck_at[SWAPPED]
                and self._newest_version() > swaps
            ),
            lambda: (
                f"{name}: no new results or versions since {dict(struck_at)} were sent, version {swaps}: "
                f"results to {self.newest(STEADY)} and {self.newest(SWAPPED)}, "
                f"version {self._newest_version()}"
            ),
        )
        self.traffic.offer(numbered_model(waiting, 1))
        self._await(
            lambda: len({one.submissionTs for one in self.results(waiting)}) >= _WAITING,
            lambda: f"{name}: {len(self.results(waiting))} of {_WAITING} records that waited were scored",
        )
        # Not what came until now alone: a fault that strikes late leaves its silence late.
        self.in_full_swing()
        _, back_s = longest_silence(self.traffic.received_s[STEADY], struck_s)
        return back_s - struck_s

    def in_full_swing(self) -> None:
        """Waits until records that are sent from now on have been scored."""
        sent = Counter(self.load.sent)
        self._await(
            lambda: self.newest(STEADY) > sent[STEADY] and self.newest(SWAPPED) > sent[SWAPPED],
            lambda: f"no result of a record after {sent}",
        )

    def await_checkpoints(self, count: int) -> None:
        """Waits until ``count`` more checkpoints have been completed."""
        seen = {self.checkpoint()}

        def more() -> bool:
            seen.add(self.checkpoint())
            return len(seen) > count

        self._await(more, lambda: f"no {count} new checkpoints, only {seen}")

    def checkpoint(self) -> RetainedCheckpoint | None:
        """Returns the newest completed checkpoint."""
        return next(iter(retained_checkpoints(str(self._checkpoints))), None)

    def verdict(self, poison: Sequence[bytes] = ()) -> Tally:
        """Ends the load, waits for the last results, and checks them.

        In every case no result may be lost or wrong, and the dead letters must be exactly those of the
        ``poison`` that was sent, each with its bytes.
        """
        self.load.stop()
        self._await(
            lambda: all(
                len({one.submissionTs for one in self.results(data_type)}) >= count
                for data_type, count in self.load.sent.items()
            ),
            lambda: f"results are missing: {self._tally()}",
        )
        letters = self.traffic.letters
        self._await(
            lambda: {letter.payload for letter in letters} >= set(poison),
            lambda: f"dead letters are missing: {len(letters)} of {len(poison)}",
        )
        result = self._tally()
        unexpected = [letter for letter in letters if letter.payload not in set(poison)]
        assert unexpected == []
        if self._exactly_once:
            assert sorted(letter.payload for letter in letters) == sorted(poison)
        assert (result.lost, result.wrong) == ((), ()), str(result)
        if self._exactly_once:
            assert result.doubled == (), str(result)
        return result

    def results(self, data_type: str) -> list[ServingResult]:
        """Returns the results of a data type until now."""
        return list(self.traffic.results[data_type])

    def newest(self, data_type: str) -> int:
        """Returns the highest number that has a result."""
        return max((one.submissionTs for one in self.traffic.results[data_type][-2000:]), default=0)

    def _newest_version(self) -> int:
        return max(int(one.version.removeprefix("v")) for one in self.traffic.results[SWAPPED][-2000:])

    def _tally(self) -> Tally:
        return tally(
            self.load.sent,
            self.traffic.results,
            versions={STEADY: 1, SWAPPED: self.load.versions, **dict.fromkeys(self._waiting, 1)},
            # ACTIVE is committed with the checkpoint that holds the swap, so with exactly-once no later
            # record is scored by an older version.
            floor={SWAPPED: self.load.floor} if self._exactly_once else None,
        )

    def _await(self, condition: Callable[[], bool], what: Callable[[], str]) -> None:
        def checked() -> bool:
            self.traffic.check()
            return condition()

        eventually(checked, what, within_s=_WITHIN_S, step_s=0.05)
