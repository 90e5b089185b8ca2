"""``model-serving run``: from the flags to the end of the process."""

from __future__ import annotations

import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from model_serving.core.errors import ModelServingError
from model_serving.events import Events, one_line
from model_serving.messaging.connection import connect
from model_serving.messaging.errors import MessagingError
from model_serving.messaging.preflight import check_topics
from model_serving.server.bounds import Bounds, present_bounds
from model_serving.server.config import PROGRAM, ServerConfig, parse_config
from model_serving.server.errors import Fenced, Interrupted
from model_serving.server.health import Health
from model_serving.server.lag import Lag
from model_serving.server.opened import OpenedClients, open_clients
from model_serving.server.state_topic import ensure_state_topic
from model_serving.server.workers import end_with_parent, run_workers

if TYPE_CHECKING:
    from model_serving.query.run import PublisherMaker
    from model_serving.query.service import QueryService

__all__ = ["main"]

_PAUSES_S = (1.0, 2.0, 5.0, 10.0)
"""The pauses before serving begins again; the last one counts for all further times."""

_CALM_S = 120.0
"""After so long without an interruption, the pauses begin with the shortest again."""


def main(argv: Sequence[str], environ: Mapping[str, str], publisher_of: PublisherMaker) -> int:
    """Serves until SIGTERM or SIGINT, or in a bounded run until the end of the input.

    ``publisher_of`` makes what publishes the commands that come over HTTP.

    Returns:
        The exit status: 0 when it was stopped or finished, 1 when it could not start or failed. Each failure
        is one line on standard error.

    Raises:
        SystemExit: a flag is wrong (status 2), or help was asked for (status 0).
    """
    config = parse_config(argv, environ)
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopping.set())
    end_with_parent(environ, stopping.set)
    events = Events(config.log_format, config.name)
    try:
        if config.workers > 1:
            return run_workers(_checked(config, events), argv, events, stopping.is_set)
        with ExitStack() as closing:
            health = Health()
            # They connect while Kafka is checked and the rest of the program is imported.
            lag = Lag(config.data_topic) if config.http_port else None
            opened = open_clients(config, lag)
            with ExitStack() as unused:
                unused.callback(opened.close)
                config = _checked(config, events)
                if lag is not None:
                    closing.callback(_answer(config, events, publisher_of, health, lag).stop)
                unused.pop_all()
            _serve(config, opened, events, health, lag, stopping)
    except (MessagingError, ModelServingError, ValueError) as error:
        return _fail(str(error))
    except Fenced:
        return _fail(
            f"another process with the name '{config.name}' has taken over: end one of them, or give each a "
            "--name of its own"
        )
    except sqlite3.Error as error:
        return _fail(
            f"the copy of the state topic cannot be kept in {tempfile.gettempdir()} ({error}): make room "
            "there, or name another folder in TMPDIR"
        )
    except KafkaException as error:
        return _fail(f"Kafka refused ({error.args[0].str()}): look at its log")
    events.tell("stopped", "stopped" if stopping.is_set() else "finished")
    return 0


def _checked(config: ServerConfig, events: Events) -> ServerConfig:
    """Makes sure that Kafka answers and has the topics. Returns the configuration with the topics' limits."""
    checked = check_topics(config.kafka, config.topic_names)
    if ensure_state_topic(connect(config.kafka), config.state_topic):
        events.tell("topic", f"the topic '{config.state_topic}' did not exist and was created")
    for line in checked.news:
        events.tell("topic", line)
    return replace(config, dead_letter_limit=checked.dead_letter_limit, result_limit=checked.result_limit)


def _answer(
    config: ServerConfig, events: Events, publisher_of: PublisherMaker, health: Health, lag: Lag
) -> QueryService:
    """Answers over HTTP, in a thread; it ends with the process. Health and lag are of the serving loop."""
    # Only for those who ask for it, because it takes a while to import.
    from model_serving.query.run import open_service, topics_of

    topics = topics_of(config.status_topic, config.stats_topic, config.dead_letter_topic)
    service = open_service(config.kafka, topics, config.serving, config.http, publisher_of, health, lag)
    service.start()
    events.tell("http", f"the query server answers at {service.url}", url=service.url)
    return service


def _serve(
    config: ServerConfig,
    opened: OpenedClients,
    events: Events,
    health: Health,
    lag: Lag | None,
    stopping: Event,
) -> None:
    """Serves; after an interruption, begins again from what is committed, with new clients."""
    # Its imports take as long as the clients take to connect.
    from model_serving.server.member import Member

    clients: OpenedClients | None = opened
    pauses = 0
    bounds: Bounds | None = None
    while True:
        start_s = time.monotonic()
        try:
            if config.bounded and bounds is None:
                # Only once: what comes while serving is interrupted is behind the end.
                bounds = present_bounds(config)
            used, clients = clients or open_clients(config, lag), None
            Member(config, used, events, health, bounds).run(stopping.is_set)
        except Interrupted as error:
            if time.monotonic() - start_s > _CALM_S:
                pauses = 0
            pause_s = _PAUSES_S[min(pauses, len(_PAUSES_S) - 1)]
            pauses += 1
            events.tell("interrupted", f"serving begins again in {pause_s:g} s: {error}")
            if stopping.wait(pause_s):
                return
        else:
            return


def _fail(why: str) -> int:
    print(one_line(f"{PROGRAM}: {why}"), file=sys.stderr, flush=True)
    return 1
