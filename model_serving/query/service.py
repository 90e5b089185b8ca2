"""Everything that a query server consists of, how it starts, and how it ends."""

from __future__ import annotations

from model_serving.messaging.access import KafkaAccess
from model_serving.observe.board import Board, Topic
from model_serving.observe.reading import BoardFeeder
from model_serving.query.app import Access, build_app
from model_serving.query.commanding import Commanding
from model_serving.query.config import HttpSettings
from model_serving.query.digests import Digests
from model_serving.query.guarding import LOOPBACK_NAMES
from model_serving.query.known import BoardKnown
from model_serving.query.model_index import ModelIndex
from model_serving.query.parts import Parts
from model_serving.query.ports import Health, Lag, Publisher
from model_serving.query.scoring import ModelScorer
from model_serving.query.streaming import EventHub
from model_serving.query.web_server import WebServer
from model_serving.settings import ServingSettings

__all__ = ["BoardHealth", "QueryService"]


class BoardHealth:
    """See ``query.ports.Health``: a query server by itself is as well as its board is current."""

    def __init__(self, feeder: BoardFeeder) -> None:
        self._feeder = feeder

    def problem(self, path: str) -> str | None:
        """See ``query.ports.Health``."""
        if path not in {"/healthz", "/readyz"}:
            return None
        if self._feeder.failure is not None:
            return f"the topics are not read any more ({self._feeder.failure}): start again"
        health = self._feeder.health
        if path == "/healthz" or health.ready:
            return ""
        if health.trouble:
            return health.trouble
        if health.silent_s is None:
            return "Kafka has not answered yet"
        if not health.caught_up:
            return "the topics are not read to their end yet"
        return f"Kafka has not answered for {health.silent_s:.0f} s"


class QueryService:
    """A query server. Call ``start``, then ``stop``.

    Raises:
        MessagingError: the address cannot be used, or the addresses of Kafka cannot.
        ValueError: the key file of signed models cannot be read.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        topics: dict[str, Topic],
        serving: ServingSettings,
        http: HttpSettings,
        publisher: Publisher,
        health: Health | None = None,
        lag: Lag | None = None,
    ) -> None:
        """``topics``: what each topic holds. Without ``health``, it is that of the board.

        ``lag`` is of the process, if it reads records.

        ``serving`` has the limits that hold for models which score single records here.
        """
        board = Board()
        self._feeder = BoardFeeder(board, kafka, topics)
        self._known = BoardKnown(board, lambda: self._feeder.health.silent_s)
        self._feeder.listen(self._known.hear)
        self._hub = EventHub(self._known)
        self._scorer = None
        if http.score_models:
            self._scorer = ModelScorer(
                ModelIndex(kafka, serving.models_topic),
                serving,
                models=http.score_models,
                timeout_s=http.score_timeout_s,
            )
        parts = Parts(
            self._known,
            health or BoardHealth(self._feeder),
            self._hub,
            Digests(self._known),
            Commanding(http.tokens, publisher, http.upload_limit),
            self._scorer,
            lag,
        )
        hosts = {http.host, *LOOPBACK_NAMES, *http.hosts} if _is_loopback(http.host) else None
        app = build_app(parts, Access(hosts, http.origins))
        self._web = WebServer(app, http.host, http.port, flag=http.port_flag)

    @property
    def url(self) -> str:
        """The address for people."""
        return self._web.url

    @property
    def is_running(self) -> bool:
        """Whether it answers; it ends by itself only by a fault."""
        return self._web.is_running

    def start(self) -> None:
        """Reads the topics and answers from now on."""
        self._feeder.start()
        self._web.start()

    def stop(self) -> None:
        """Ends within a few seconds, also while clients follow the events."""
        self._web.stop(self._hub.close)
        if self._scorer is not None:
            self._scorer.close()
        self._feeder.stop()


def _is_loopback(host: str) -> bool:
    return host in LOOPBACK_NAMES or host.startswith("127.")
