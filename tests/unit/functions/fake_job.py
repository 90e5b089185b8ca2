"""The operators of a variant, connected as ``flink_jobs.topology`` connects them, without Flink.

Elements from one instance to another keep their order. There is no order between channels: a test chooses
which channel delivers next.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pyflink.common import Row
from pyflink.datastream import OutputTag

from functions.admission import ModelAdmission
from functions.broadcast import BroadcastModelServing
from functions.intake import RouteModels, RouteRecords
from functions.keyed import KeyedModelServing
from functions.placement import Placement
from functions.swaps import KEYED, ConfirmSwaps, broadcast_reporters
from functions.types import ACTIVATIONS, ROLLBACKS, SWAPS, UNMATCHED
from model_serving.settings import ServingSettings
from tests.unit.functions.fake_flink import FakeFlink

__all__ = ["PARTITIONS", "Delivery", "FakeJob", "Instance", "tag_of"]

PARTITIONS = 2
"""The number of partitions of the data topic, each of which is read in its order."""


class Instance(NamedTuple):
    """One of the parallel instances of an operator."""

    operator: str
    index: int  # type: ignore[assignment]  # a tuple has a method of this name


@dataclass(frozen=True, slots=True)
class Delivery:
    """An element that was delivered, and the receiver's output for it."""

    sender: Instance
    receiver: Instance
    element: Any
    emitted: list[Any]


class FakeJob:
    """A job that reads the topics ``models`` and ``records``; ``wrote`` is its output.

    The topics survive a crash. The output since the checkpoint is taken back in a crash, as a reader of
    exactly-once output sees it. Messages that the job wrote to the models topic stay, so after a crash it may
    read a message that it wrote before.
    """

    def __init__(self, settings: ServingSettings, variant: str, parallelism: int) -> None:
        self.models: list[bytes] = []
        self.records: list[list[tuple[bytes, ...]]] = [[] for _ in range(PARTITIONS)]
        self.wrote: list[Any] = []
        self._settings = settings
        self._variant = variant
        self._read: dict[Instance, int] = {}
        self._channels: dict[tuple[Instance, Instance], deque[Any]] = {}
        self._start(parallelism, {})
        self.checkpoint()

    def checkpoint(self) -> None:
        """Saves the state. Raises AssertionError when an element is still in a channel."""
        assert not any(self._channels.values())
        state = {instance: flink.saved() for instance, (flink, _) in self._instances.items()}
        self._checkpoint = (state, dict(self._read), len(self.wrote))

    def crash(self, parallelism: int) -> None:
        """Loses everything since the checkpoint and goes on from it with ``parallelism`` instances."""
        self.close()
        state, read, wrote = self._checkpoint
        self._read = dict(read)
        self._channels.clear()
        del self.wrote[wrote:]
        self._start(parallelism, state)

    def deliver(self, choice: int) -> Delivery | None:
        """Delivers the first element of one channel; None when all channels are empty."""
        # Most choices of a history find nothing to do, so this comes before anything is sorted.
        if not any(self._channels.values()):
            return None
        channels = sorted(each for each, elements in self._channels.items() if elements)
        sender, receiver = channels[choice % len(channels)]
        element = self._channels[sender, receiver].popleft()
        emitted = list(self._process(sender, receiver, element))
        for each in emitted:
            self._send_on(receiver, each)
        return Delivery(sender, receiver, element, emitted)

    def read_models(self) -> bool:
        """Reads the next message of the models topic; False if there is none."""
        source = Instance("models", 0)
        at = self._read.get(source, 0)
        if at == len(self.models):
            return False
        self._read[source] = at + 1
        self._send(source, Instance("route models", 0), self.models[at])
        return True

    def read_records(self, partition: int) -> bool:
        """Reads the next vector of records of a partition; False if there is none."""
        source = Instance("records", partition)
        at = self._read.get(source, 0)
        if at == len(self.records[partition]):
            return False
        self._read[source] = at + 1
        # In the keyed job each partition has its own router; in the broadcast job all instances take turns.
        keyed = self._variant == "keyed"
        receiver = Instance("route", partition) if keyed else Instance("serve", at % self._parallelism)
        self._send(source, receiver, (self.records[partition][at],))
        return True

    def fire_retries(self) -> Iterator[Delivery]:
        """Fires a timer for each data type whose records wait: a delivery from the instance to itself.

        The elements are the data types. After a restore these are the guard timers.
        """
        for instance, (flink, operator) in self._instances.items():
            if not isinstance(operator, KeyedModelServing):
                continue
            for data_type in sorted(flink.saved()[0].get("waiting-count", {})):
                due = operator._retries.get(data_type, flink.now + 1)
                flink.key, flink.now = data_type, max(flink.now, due)
                emitted = list(operator.on_timer(due, flink))
                for each in emitted:
                    self._send_on(instance, each)
                yield Delivery(instance, instance, data_type, emitted)

    def close(self) -> None:
        """Closes every operator."""
        for _, operator in self._instances.values():
            operator.close()

    def _start(self, parallelism: int, state: dict[Instance, Any]) -> None:
        keyed = self._variant == "keyed"
        settings = self._settings
        reporters = [KEYED] if keyed else broadcast_reporters(parallelism)
        kinds: dict[str, tuple[int, Any]] = {
            "route models": (1, lambda: RouteModels(settings)),
            "admit": (parallelism, lambda: ModelAdmission(settings)),
            "confirm": (parallelism, lambda: ConfirmSwaps(reporters)),
        }
        if keyed:
            kinds["route"] = (PARTITIONS, lambda: RouteRecords(settings))
            kinds["serve"] = (parallelism, lambda: KeyedModelServing(settings))
        else:
            kinds["serve"] = (parallelism, lambda: BroadcastModelServing(settings))
            kinds["wait"] = (parallelism, lambda: KeyedModelServing(settings))
        self._parallelism = parallelism
        self._placement = Placement(FakeFlink(0, parallelism))
        self._instances: dict[Instance, tuple[FakeFlink, Any]] = {}
        for name, (count, make) in kinds.items():
            before = [saved for instance, saved in sorted(state.items()) if instance.operator == name]
            for index in range(count):
                # A router sends to the instances of the keyed operator behind it, however many it has itself.
                flink = FakeFlink(index, parallelism if name == "route" else count)
                flink.restore(before)
                operator = make()
                operator.open(flink)
                self._instances[Instance(name, index)] = (flink, operator)

    def _process(self, sender: Instance, receiver: Instance, element: Any) -> Iterator[Any]:
        flink, operator = self._instances[receiver]
        if isinstance(operator, BroadcastModelServing):
            is_model = sender.operator == "admit"
            process = operator.process_broadcast_element if is_model else operator.process_element
            return process(element, flink)
        if isinstance(operator, (KeyedModelServing, ModelAdmission, ConfirmSwaps)):
            flink.key = element[0]
        if isinstance(operator, ModelAdmission):
            return operator.process_element(element[1], flink)
        if not isinstance(operator, KeyedModelServing):
            return operator.process_element(element, flink)
        if sender.operator == "admit":
            return operator.process_element1(element, flink)
        # Flink pickles the value behind the key on its way.
        return operator.process_element2(pickle.loads(pickle.dumps(element[1])), flink)

    def _send_on(self, sender: Instance, emitted: Any) -> None:
        tag = tag_of(emitted)
        value = emitted if tag is None else emitted[1]
        if tag is ROLLBACKS:
            self.models.append(value)
        elif tag is ACTIVATIONS and self._variant == "keyed":
            self._send_by_key(sender, "serve", value)
        elif tag is ACTIVATIONS:
            for index in range(self._parallelism):
                self._send(sender, Instance("serve", index), value)
            self._send_by_key(sender, "wait", value)
        elif tag is SWAPS:
            self._send_by_key(sender, "confirm", value)
        elif tag is UNMATCHED:
            self._send_by_key(sender, "wait", value)
        elif tag is None and sender.operator == "route":
            self._send_by_key(sender, "serve", value)
        elif tag is None and sender.operator == "route models":
            self._send_by_key(sender, "admit", value)
        else:
            self.wrote.append((sender.operator, emitted))

    def _send_by_key(self, sender: Instance, operator: str, value: Sequence[Any] | Row) -> None:
        self._send(sender, Instance(operator, self._placement.instance(value[0])), value)

    def _send(self, sender: Instance, receiver: Instance, element: Any) -> None:
        self._channels.setdefault((sender, receiver), deque()).append(element)


def tag_of(emitted: Any) -> OutputTag | None:
    """The side output that an element goes to; None: the main one."""
    return emitted[0] if isinstance(emitted, tuple) and isinstance(emitted[0], OutputTag) else None
