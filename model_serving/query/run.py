"""``model-serving serve``: from the flags to the end of the process."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING

from model_serving.core.admission.signing import read_keys
from model_serving.core.errors import ModelServingError
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.errors import MessagingError
from model_serving.observe.board import Topic
from model_serving.query.config import PROGRAM, HttpSettings, parse_config
from model_serving.query.ports import Health, Lag, Publisher
from model_serving.settings import ServingSettings

if TYPE_CHECKING:
    from model_serving.query.service import QueryService

__all__ = ["PublisherMaker", "main", "missing_extra", "open_service", "topics_of"]

PublisherMaker = Callable[[KafkaAccess, str, "bytes | None"], Publisher]
"""Makes what publishes model messages: for a Kafka, a topic and the key that signs them."""

_LOOK_S = 0.5


def main(argv: Sequence[str], environ: Mapping[str, str], publisher_of: PublisherMaker) -> int:
    """Answers until SIGTERM or SIGINT.

    Returns:
        The exit status: 0 when it was stopped, 1 when it could not start or failed, which is one line on
        standard error.

    Raises:
        SystemExit: a flag is wrong (status 2), or help was asked for (status 0).
    """
    config = parse_config(argv, environ)
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopping.set())
    try:
        topics = topics_of(config.status_topic, config.stats_topic, config.dead_letter_topic)
        service = open_service(config.kafka, topics, config.serving, config.http, publisher_of)
    except (MessagingError, ModelServingError, ValueError) as error:
        return _fail(str(error))
    service.start()
    commands = "commands need a token" if config.http.tokens else "no commands are taken (see --token-file)"
    print(f"the query server answers at {service.url} ({commands}); Ctrl-C stops it", flush=True)
    try:
        while not stopping.wait(_LOOK_S):
            if not service.is_running:
                return _fail("the web server has ended: see what it wrote before")
    finally:
        service.stop()
    return 0


def open_service(
    kafka: KafkaAccess,
    topics: dict[str, Topic],
    serving: ServingSettings,
    http: HttpSettings,
    publisher_of: PublisherMaker,
    health: Health | None = None,
    lag: Lag | None = None,
) -> QueryService:
    """A query server that is not started yet. Health and lag are of the process, if it does more than answer.

    Raises:
        MessagingError: an address cannot be used, or the packages for it are not installed.
        ValueError: the key file cannot be read.
    """
    if (missing := missing_extra()) is not None:
        raise MessagingError(missing)
    from model_serving.query.service import QueryService

    key = read_keys(serving.model_key_file)[0] if serving.model_key_file else None
    publisher = publisher_of(kafka, serving.models_topic, key)
    return QueryService(kafka, topics, serving, http, publisher, health, lag)


def topics_of(status: str, statistics: str, dead_letters: str) -> dict[str, Topic]:
    """What each topic holds; a topic with an empty name does not exist."""
    named = {status: Topic.STATUS, statistics: Topic.STATISTICS, dead_letters: Topic.DEAD_LETTERS}
    return {name: topic for name, topic in named.items() if name}


def missing_extra() -> str | None:
    """One line about a package of the extra ``server`` that is not installed; None if all are."""
    for package in ("fastapi", "uvicorn", "python_multipart"):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError:
            return (
                f"serving HTTP needs the Python package {package}, which is not installed here: "
                "pip install 'flink-model-serving[server]'"
            )
    return None


def _fail(why: str) -> int:
    print(f"{PROGRAM}: {' '.join(why.split())}", file=sys.stderr, flush=True)
    return 1
