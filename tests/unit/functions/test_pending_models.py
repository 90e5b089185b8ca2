"""Model messages that wait for a load, by data type: in order, in state, each carried out once."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from functions.admission import ModelAdmission
from functions.types import ACTIVATIONS, PENDING_MODELS
from model_serving.core.errors import ModelRejected
from model_serving.core.state import decode_activation
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.modelstatus_pb2 import ModelStatus
from model_serving.settings import ServingSettings
from model_serving.testing import FakeClock, FakeEngine, Script
from tests.jobs import eventually
from tests.unit.functions.fake_flink import FakeFlink


@pytest.fixture
def gate(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The gate that the model ``slow`` waits for while it loads."""
    monkeypatch.setattr("model_serving.core.admission.queue._QUICK_S", 0.01)
    made = threading.Event()
    engine.scripts[b"slow"] = Script(fields=("temperature",), x="temperature", gate=made)
    yield made
    made.set()
    eventually(lambda: engine.live == [], lambda: str(engine.live), within_s=30)


def opened(settings: ServingSettings, flink: FakeFlink) -> ModelAdmission:
    made = ModelAdmission(settings)
    made.open(flink)
    return made


def deploy(version: str, data_type: str = "hall", **fields: Any) -> ModelDescriptor:
    content = {"data": version.encode(), "modeltype": ModelDescriptor.ONNX, "name": "model"}
    return ModelDescriptor(dataType=data_type, version=version, **{**content, **fields})


def command(name: str, data_type: str = "hall", version: str = "") -> ModelDescriptor:
    return ModelDescriptor(dataType=data_type, command=name, version=version)


def told(emitted: Iterator[Any]) -> list[str]:
    """The outcomes of model messages, in short texts."""
    said = []
    for element in emitted:
        if isinstance(element, bytes):
            status = ModelStatus.FromString(element)
            said.append(f"{status.dataType}: {status.version or status.detail} rejected")
        elif element[0] is ACTIVATIONS:
            order = decode_activation(element[1][1])
            serves = "nothing" if order.model is None else order.model.version
            said.append(f"{order.data_type}: {serves} after {order.previous or 'nothing'}")
    return said


def offer(admit: ModelAdmission, flink: FakeFlink, message: ModelDescriptor) -> list[str]:
    flink.key = message.dataType
    return told(admit.process_element((message.SerializeToString(), 0), flink))


def next_timers(flink: FakeFlink) -> list[tuple[int, str]]:
    """The timers within half a second from the first one; guard timers are later, if there are others."""
    times = sorted(flink.later)
    return [(time, key) for time, key in times if time < times[0][0] + 500]


def fire(admit: ModelAdmission, flink: FakeFlink) -> list[str]:
    """Fires the next timers, in the order of their times, and returns the outcomes."""
    due = next_timers(flink)
    flink.later = [timer for timer in flink.later if timer not in due]
    said = []
    for time, key in due:
        flink.key, flink.now = key, max(flink.now, time)
        said += told(admit.on_timer(time, flink))
    return said


def until(admit: ModelAdmission, flink: FakeFlink, count: int) -> list[str]:
    """Fires timers until there are ``count`` outcomes, and returns them."""
    said: list[str] = []

    def enough() -> bool:
        said.extend(fire(admit, flink))
        return len(said) >= count

    eventually(enough, lambda: str(said), within_s=30, step_s=0.001)
    return said


def pending(flink: FakeFlink, data_type: str) -> list[bytes]:
    flink.key = data_type
    state = flink.get_map_state(PENDING_MODELS)
    return [state.get(number) for number in sorted(state.keys())]


def test_messages_of_a_data_type_wait_for_the_one_that_loads_and_others_do_not(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine, gate: threading.Event
) -> None:
    with closing(opened(settings, flink)) as admit:
        assert (offer(admit, flink, deploy("v1")) or until(admit, flink, 1)) == ["hall: v1 after nothing"]
        assert flink.later == []
        waiting = [deploy("slow"), command("ROLLBACK", version="slow"), deploy("broken"), deploy("v2")]
        assert [offer(admit, flink, message) for message in waiting] == [[]] * 4
        assert pending(flink, "hall") == [message.SerializeToString() for message in waiting]
        assert [key for _, key in next_timers(flink)] == ["hall"]
        assert offer(admit, flink, command("REMOVE", "lab")) == [
            "lab: nothing to remove: no model serves data type 'lab' rejected"
        ]
        assert offer(admit, flink, deploy("v2", "lab")) + until_or_now(admit, flink) == [
            "lab: v2 after nothing"
        ]
        assert fire(admit, flink) == []
        assert [key for _, key in next_timers(flink)] == ["hall"]
        gate.set()
        said = until(admit, flink, 4)
        assert [one for one in said if "rejected" not in one] == [
            "hall: slow after v1",
            "hall: v1 after slow",
            "hall: v2 after v1",
        ]
        assert "hall: broken rejected" in said
        assert (pending(flink, "hall"), flink.later) == ([], [])


def until_or_now(admit: ModelAdmission, flink: FakeFlink) -> list[str]:
    """Fires timers until no message of ``lab`` is pending: a load that is not alone is not waited for."""
    said: list[str] = []

    def done() -> bool:
        said.extend(fire(admit, flink))
        return pending(flink, "lab") == []

    eventually(done, lambda: str(said), within_s=30, step_s=0.001)
    return said


def test_after_a_restart_what_was_pending_starts_anew_and_is_carried_out_once(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine, gate: threading.Event
) -> None:
    with closing(opened(settings, flink)) as first:
        assert [offer(first, flink, message) for message in (deploy("slow"), deploy("v2"))] == [[], []]
        waiting = pending(flink, "hall")
        gate.set()
    # The model has loaded, but nobody took the result.
    eventually(lambda: engine.live == [], lambda: str(engine.live), within_s=30)
    assert pending(flink, "hall") == waiting
    with closing(opened(settings, flink)) as restarted:
        # A message that is faster than the timer goes to the end.
        assert offer(restarted, flink, deploy("v1")) == []
        assert len(next_timers(flink)) == 1
        assert until(restarted, flink, 3) == [
            "hall: slow after nothing",
            "hall: v2 after slow",
            "hall: v1 after v2",
        ]
        assert (pending(flink, "hall"), flink.later) == ([], [])
        assert fire(restarted, flink) == []


def test_a_checkpoint_without_the_timers_that_timers_registered_forgets_no_message(
    settings: ServingSettings, flink: FakeFlink, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flink may take a checkpoint between a timer that fired and the next. Here each restart uses one."""
    turns = 20
    # ``close`` does not wait for the threads that load the model, because it loads only at the end.
    monkeypatch.setattr("model_serving.core.admission.queue._CLOSE_PATIENCE_S", 0.0)
    with closing(opened(settings, flink)) as first:
        assert offer(first, flink, deploy("slow")) == []
    for _ in range(turns):
        with closing(opened(settings, flink)) as restarted:
            waited_ms = max(flink.now, 1000)
            registered = list(flink.later)
            assert fire(restarted, flink) == []
            assert flink.now <= 2 * waited_ms
            flink.later = [timer for timer in flink.later if timer in registered]
    assert flink.now > 1000 << (turns - 3)
    gate.set()
    with closing(opened(settings, flink)) as restarted:
        assert until(restarted, flink, 1) == ["hall: slow after nothing"]


def test_a_message_has_one_that_waits_since_before_a_restart_looked_after_soon(
    settings: ServingSettings, flink: FakeFlink, gate: threading.Event
) -> None:
    with closing(opened(settings, flink)) as first:
        assert offer(first, flink, deploy("slow")) == []
    flink.now = 1_000_000
    flink.later = [timer for timer in flink.later if timer[0] > flink.now]
    gate.set()
    with closing(opened(settings, flink)) as restarted:
        assert offer(restarted, flink, deploy("v2")) == []
        assert next_timers(flink) == [(flink.now + 1000, "hall")]
        assert until(restarted, flink, 2) == ["hall: slow after nothing", "hall: v2 after slow"]


def test_a_load_that_takes_too_long_is_rejected_and_the_next_message_comes(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine, gate: threading.Event, clock: FakeClock
) -> None:
    with closing(opened(replace(settings, load_timeout_s=7), flink)) as admit:
        assert [offer(admit, flink, message) for message in (deploy("slow"), deploy("v2"))] == [[], []]
        assert fire(admit, flink) == []
        clock.pass_ns(7_000_000_001)
        assert until(admit, flink, 2) == ["hall: slow rejected", "hall: v2 after nothing"]
        assert engine.live == ["v2"]
        gate.set()
        eventually(lambda: "close slow" in engine.events, lambda: str(engine.events), within_s=30)
        assert engine.live == ["v2"]


def test_a_fault_in_a_thread_is_a_fault_of_the_operator(
    settings: ServingSettings,
    flink: FakeFlink,
    engine: FakeEngine,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine.scripts[b"v1"] = Script(fields=("temperature",), gate=gate)

    def bug(*_: object, **__: object) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr("model_serving.core.admission.preparation._warm_up", bug)
    with closing(opened(settings, flink)) as admit:
        assert offer(admit, flink, deploy("v1")) == []
        gate.set()
        with pytest.raises(RuntimeError, match=r"^bug$"):
            until(admit, flink, 1)
        assert len(pending(flink, "hall")) == 1


@pytest.mark.parametrize(
    "message",
    [deploy("broken"), deploy("fails"), deploy("v1", data=b""), command("ROLLBACK")],
    ids=["does not load", "fails in its warm-up", "has no content", "nothing to go back to"],
)
def test_what_was_refused_does_not_wait_for_the_collector(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine, message: ModelDescriptor
) -> None:
    """The frames of an error refer to the message and the model that it is about."""
    engine.scripts[b"fails"] = Script(fields=("temperature",), x="temperature", poison=0.0)

    def errors() -> list[object]:
        return [each for each in gc.get_objects() if isinstance(each, ModelRejected)]

    with closing(opened(settings, flink)) as admit:
        before = errors()
        gc.disable()
        try:
            (said,) = offer(admit, flink, message)
            # The thread that loaded may be about to end.
            eventually(lambda: errors() == before, lambda: "errors are still there", within_s=10)
        finally:
            gc.enable()
    assert said.endswith("rejected")


def test_a_bounded_run_waits_for_each_load(
    settings: ServingSettings, flink: FakeFlink, engine: FakeEngine, gate: threading.Event
) -> None:
    bounded = replace(settings, waiting=replace(settings.waiting, bounded=True))
    with closing(opened(bounded, flink)) as admit:
        threading.Timer(0.1, gate.set).start()
        assert offer(admit, flink, deploy("slow")) == ["hall: slow after nothing"]
        assert (pending(flink, "hall"), flink.later) == ([], [])


def test_too_much_that_waits_is_waited_for(
    settings: ServingSettings,
    flink: FakeFlink,
    engine: FakeEngine,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later_gate = threading.Event()
    monkeypatch.setattr("model_serving.core.admission.queue._MOST_PENDING_BYTES", 500)
    with closing(opened(settings, flink)) as admit:
        assert offer(admit, flink, deploy("slow")) == []
        assert offer(admit, flink, deploy("v1")) == []
        threading.Timer(0.1, gate.set).start()
        large = deploy("v2", name="m" * 500)
        assert offer(admit, flink, large) == [
            "hall: slow after nothing",
            "hall: v1 after slow",
            "hall: v2 after v1",
        ]
        # The earlier timer is still there. It must not look after the new message, which has its own timer.
        engine.scripts[b"slower"] = Script(gate=later_gate)
        flink.now = 3
        assert offer(admit, flink, deploy("slower")) == []
        assert next_timers(flink) == [(5, "hall"), (8, "hall")]
        assert fire(admit, flink) == []
        assert len(next_timers(flink)) == 1
        later_gate.set()
        assert until(admit, flink, 1) == ["hall: slower after v2"]
        assert flink.later == []
