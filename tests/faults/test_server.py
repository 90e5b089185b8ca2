"""kill -9, members that come and go, and a broker that dies, under a load with swaps, for the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from tests.faults.drill import Drill
from tests.faults.kills import broker_process, kill_now, marked
from tests.faults.numbered_load import NumberedLoad
from tests.job_serving import fresh_topics
from tests.job_traffic import Traffic
from tests.jobs import ServerRun, eventually, server_flags

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("MODEL_SERVING_KILLS", "3"))


class Servers:
    """Servers that share topics and state; each has a name of its own."""

    def __init__(self, broker: EmbeddedBroker, folder: Path, *flags: str, partitions: int = 1) -> None:
        self.topics = fresh_topics(broker, partitions=partitions)
        self._flags = [*server_flags(broker.bootstrap_servers, self.topics, self.topics.models), *flags]
        self._folder = folder
        self._closing = ExitStack()
        self._started = 0
        self.running: dict[str, ServerRun] = {}

    def start(self, name: str) -> ServerRun:
        """Starts a server with this name."""
        self._started += 1
        log = self._folder / f"{name}-{self._started}.log"
        server = self._closing.enter_context(ServerRun([*self._flags, "--name", name], log))
        self.running[name] = server
        return server

    def kill(self, name: str) -> None:
        """Kills a server as kill -9 does."""
        kill_now(*marked(self.running.pop(name).mark))

    def leave(self, name: str) -> None:
        """Ends a server as SIGTERM does."""
        assert self.running.pop(name).stop() == 0

    def check(self) -> None:
        """Fails when a server has ended that should run."""
        for server in list(self.running.values()):
            server.check()

    def close(self) -> None:
        """Ends them all."""
        for name in list(self.running):
            self.leave(name)
        self._closing.close()


@contextmanager
def servers(broker: EmbeddedBroker, folder: Path, *flags: str, partitions: int = 1) -> Iterator[Servers]:
    """Gives servers, none of which runs yet."""
    made = Servers(broker, folder, *flags, partitions=partitions)
    try:
        yield made
    except BaseException:
        for name in list(made.running):
            made.kill(name)
        raise
    made.close()


def test_killed_again_and_again_with_exactly_once(
    broker: EmbeddedBroker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each record has one result, whenever the process is killed, and no model is published again."""
    with servers(broker, tmp_path, "--delivery", "exactly-once") as all_servers:
        all_servers.start("one")
        with (
            Traffic("server", broker.bootstrap_servers, all_servers.topics, all_servers.check) as traffic,
            NumberedLoad(traffic) as load,
        ):
            drill = Drill(traffic, load, None, exactly_once=True)

            def killed_and_started() -> None:
                all_servers.kill("one")
                all_servers.start("one")

            for kill in range(KILLS):
                took_s = drill.strike(f"kill {kill}", killed_and_started)
                record_property(f"recovery in s: kill {kill}, server, exactly-once", round(took_s, 1))
                print(f"\nkill -9 {kill} of the server: back after {took_s:.1f} s")
            print(drill.verdict())


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_members_join_leave_and_die(broker: EmbeddedBroker, tmp_path: Path, delivery: str) -> None:
    """The partitions move, records that wait move with them, and ACTIVE holds for every member."""
    with servers(broker, tmp_path, "--delivery", delivery, partitions=3) as all_servers:
        all_servers.start("one")
        with (
            Traffic("server", broker.bootstrap_servers, all_servers.topics, all_servers.check) as traffic,
            NumberedLoad(traffic) as load,
        ):
            drill = Drill(traffic, load, None, exactly_once=delivery == "exactly-once")
            drill.strike("join", lambda: (all_servers.start("two"), None)[1])
            eventually(
                lambda: "reads partitions" in all_servers.running["two"].printed(),
                all_servers.running["two"].printed,
                within_s=60,
            )
            drill.strike("the first dies", lambda: all_servers.kill("one"))
            drill.strike("another one joins", lambda: (all_servers.start("three"), None)[1])
            drill.strike("the second leaves", lambda: all_servers.leave("two"))
            print(drill.verdict())


def test_the_broker_dies_and_returns(tmp_path: Path) -> None:
    with (
        EmbeddedBroker(folder=tmp_path / "kafka", retention=Retention.KEEP) as broker,
        servers(broker, tmp_path, "--delivery", "exactly-once") as all_servers,
    ):
        all_servers.start("one")
        with (
            Traffic("server", broker.bootstrap_servers, all_servers.topics, all_servers.check) as traffic,
            NumberedLoad(traffic) as load,
        ):
            drill = Drill(traffic, load, None, exactly_once=True)

            def broker_dies_and_returns() -> None:
                kill_now(broker_process(broker))
                broker.stop()
                broker.start()

            took_s = drill.strike("broker", broker_dies_and_returns)
            print(f"\nkill -9 of the broker: back after {took_s:.1f} s")
            print(drill.verdict())


def test_a_second_process_with_the_same_name_takes_over(broker: EmbeddedBroker, tmp_path: Path) -> None:
    with servers(broker, tmp_path, "--delivery", "exactly-once") as all_servers:
        first = all_servers.start("one")
        eventually(lambda: "reads partitions 0" in first.printed(), first.printed, within_s=60)
        second = all_servers.start("one")
        assert first.await_end(within_s=60) == 1
        last = first.printed().splitlines()[-1]
        assert last.startswith("model-serving run: another process with the name 'one' has taken over: "), (
            last
        )
        second.check()
        assert second.stop(signal.SIGTERM) == 0
        all_servers.running.clear()
