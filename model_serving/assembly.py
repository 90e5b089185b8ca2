"""Builds the core's objects for a host: ``build(settings, clock, pool)``."""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import partial
from typing import Protocol
from uuid import uuid4

from model_serving.core.admission.admission import Admission
from model_serving.core.admission.confirmation import SwapCount
from model_serving.core.admission.gate import ModelGate
from model_serving.core.admission.loads import BackgroundLoads
from model_serving.core.admission.preparation import Prepared
from model_serving.core.admission.queue import ModelQueue
from model_serving.core.admission.rejections import Rejections
from model_serving.core.clock import Clock
from model_serving.core.engine import Engine, RecordSchema
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.core.model_store import ModelContents, ModelStore, everything_inline
from model_serving.core.pool import Lease, ModelPool
from model_serving.core.ports import ActiveModels, KeptModels, PendingModels, SwapReports, WaitingRecords
from model_serving.core.scoring.desk import Place, ServingDesk
from model_serving.core.scoring.refusals import Refusals
from model_serving.core.scoring.server import Server
from model_serving.core.scoring.statuses import DeskStatuses
from model_serving.core.state import decode_activation
from model_serving.core.statistics.recorder import Identity, Recorder
from model_serving.core.statistics.report import VersionStatistics
from model_serving.core.statistics.reporter import Reporter
from model_serving.engines import engine_for
from model_serving.engines.content import KindCheckedEngine
from model_serving.engines.limits import Limits, RemoteAccess
from model_serving.engines.trial.engine import TriedEngine
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.statistics import StatisticsTopic
from model_serving.settings import ServingSettings
from model_serving.stores.locations import LocationStore
from model_serving.stores.models import FsspecModelStore
from model_serving.wire import ModelMessages, RecordCodec, TopicEncoder
from model_serving.wire.statistics import encode_statistics, statistics_key

__all__ = ["EngineSource", "Parts", "build", "engine_for", "new_pool", "new_recorder", "new_reporter"]

_LOADS_AT_ONCE = 4
"""How many loads of a queue run at the same time: enough that a slow store does not hold up all other models,
few enough for the memory and the cores that loading takes."""

_HAND_OVER_S = 0.0001
"""How long a thread that loads a model keeps the interpreter when a serving thread asks for it.

With Python's default of 5 ms, a serving thread would wait that long at each batch and at each result that
goes back to the JVM: at a thousand records a second, records queued up for seconds while a large model was
loaded.
"""


def new_pool() -> ModelPool:
    """A pool for models of every format. A process needs one; all who use the pool share loaded models."""
    return ModelPool(engine_for)


class EngineSource(Protocol):
    """Gives the engine for a kind of model."""

    def __call__(self, model_type: ModelType, limits: Limits) -> Engine:
        """See ``engines.engine_for``."""
        ...


def build(
    settings: ServingSettings,
    clock: Clock,
    pool: ModelPool,
    engines: EngineSource = engine_for,
    store: ModelStore | None = None,
    recorder: Recorder | None = None,
) -> Parts:
    """Returns a maker of the parts of a serving host; each part is made when its method is called.

    ``store`` keeps the models if the settings name no model store; without it, they stay in state.
    ``recorder`` counts what all these parts do; without it, nothing is counted.
    """
    return Parts(settings, clock, pool, engines, store, recorder)


def new_recorder(settings: ServingSettings, instance: str, clock: Clock) -> Recorder:
    """What counts for one instance of the host, since this start of it."""
    return Recorder(Identity(uuid4().hex[:16], instance, settings.host), clock)


def new_reporter(settings: ServingSettings) -> Reporter | None:
    """What reports to the statistics topic; None if there is none. A process needs one for each topic."""
    if not settings.stats_topic:
        return None
    kafka = KafkaAccess(settings.bootstrap_servers, settings.kafka_config)
    return Reporter(lambda: StatisticsTopic(kafka, settings.stats_topic, _report_message))


def _report_message(report: VersionStatistics) -> tuple[bytes, bytes]:
    return statistics_key(report), encode_statistics(report)


class Parts:
    """Makes the objects that every host needs. Close a queue or a desk when it is not needed any more."""

    def __init__(
        self,
        settings: ServingSettings,
        clock: Clock,
        pool: ModelPool,
        engines: EngineSource,
        store: ModelStore | None,
        recorder: Recorder | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._pool = pool
        self._engines = engines
        self._recorder = recorder
        self._encoder = TopicEncoder(settings.dead_letter_limit, settings.result_limit)
        self.codec = RecordCodec(settings.record_type)

    def gate(self, subtask: int) -> ModelGate:
        """The gate that checks model messages first, in instance ``subtask``.

        Raises:
            ValueError: the key file cannot be read, or has no key in it.
        """
        return ModelGate(ModelMessages(), self._rejections(subtask), self._settings.model_keys())

    def queue(self, kept: KeptModels, pending: PendingModels, subtask: int) -> ModelQueue:
        """The queue that admits models, in order, and loads them in threads beside the caller's."""
        return ModelQueue(
            self.admission(),
            self.loads(),
            ModelMessages(),
            self._rejections(subtask),
            kept,
            pending,
            self._clock,
            patient=self._settings.waiting.bounded,
        )

    def desk(
        self, active: ActiveModels, waiting: WaitingRecords | None, reporter: str, subtask: int
    ) -> ServingDesk:
        """The desk that scores records; without ``waiting``, it gives back records without a model.

        Raises:
            ValueError: the key file cannot be read, or has no key in it.
        """
        keys = self._settings.model_keys()
        return ServingDesk(
            self.server(),
            self.codec,
            self._encoder,
            self.refusals(),
            active,
            waiting,
            self._settings.waiting,
            Place(reporter, subtask, keys[0] if keys else None),
            self._clock,
            self._recorder,
        )

    def swapped(self, order: bytes, reporter: str, subtask: int) -> bytes:
        """The status that an activation is carried out, for one that no desk reports any more."""
        statuses = DeskStatuses(self._encoder, Place(reporter, subtask), self._clock)
        return statuses.swapped(decode_activation(order), "").status

    def refusals(self) -> Refusals:
        """The maker of the data topic's dead letters."""
        return Refusals(self._encoder, self._settings.data_topic, self._clock, self._recorder)

    def swap_count(self, reports: SwapReports, reporters: Collection[str]) -> SwapCount:
        """The count of instances that have swapped a model; ``reporters`` are all who report each swap."""
        return SwapCount(reports, reporters)

    def server(self, schema: RecordSchema | None = None) -> Server:
        """The server, which holds the loaded models and scores with them.

        ``schema`` has the fields of the records, if they are not those of the record type.
        """
        settings = self._settings
        return Server(
            self._limited_pool(),
            schema or self.codec.schema,
            settings.data_topic,
            self._clock,
            missing=settings.missing,
            failure_threshold=settings.failure_threshold,
            outage=settings.remote_outage,
            with_content=self._contents().at_hand,
            recorder=self._recorder,
        )

    def lease(self, model: ModelToServe) -> Lease:
        """A lease on the loaded model, so that a desk of this process finds it loaded.

        Raises:
            ModelServingError: the model cannot be loaded, see ``ModelPool.acquire``.
        """
        return self._limited_pool().acquire(model, self.codec.schema, self._contents().at_hand)

    def admission(self, schema: RecordSchema | None = None) -> Admission:
        """Admission, which decides on model messages and first tries models of native code in a process.

        ``schema`` has the fields of the records, if they are not those of the record type.
        """
        settings, limits = self._settings, self._limits()
        locations = LocationStore(settings.base_dir, settings.model_size_limit, settings.allow_locations)
        pool = self._limited_pool()
        if settings.trial_timeout_s:
            # Only admission tries models: a model that it has admitted need not be tried again.
            pool = pool.with_engines(
                partial(
                    TriedEngine,
                    limits=limits,
                    seconds=settings.trial_timeout_s,
                    memory_bytes=settings.trial_memory_limit,
                )
            )
        return Admission(
            # Content of another format than the message says is rejected before any library or trial sees it.
            pool=pool.with_engines(KindCheckedEngine),
            schema=schema or self.codec.schema,
            read_location=locations.read,
            read_example=self.codec.example,
            keep_versions=settings.keep_versions,
            clock=self._clock,
            contents=self._contents(),
            check_location=locations.check_served,
        )

    def loads(self) -> BackgroundLoads[Prepared]:
        """The threads that load models, with the time limit for a load."""
        sys.setswitchinterval(_HAND_OVER_S)
        return BackgroundLoads(_LOADS_AT_ONCE, self._settings.load_timeout_s, self._clock)

    def _rejections(self, subtask: int) -> Rejections:
        topic = self._settings.models_topic
        return Rejections(self._encoder, topic, subtask, self._clock, self._recorder)

    def _contents(self) -> ModelContents:
        settings = self._settings
        store = FsspecModelStore(settings.model_store) if settings.model_store else self._store
        if store is None:
            return everything_inline()
        return ModelContents(
            store,
            settings.inline_limit,
            settings.run,
            settings.model_store_retention_ms,
            claims=settings.claims_stored,
        )

    def _limited_pool(self) -> ModelPool:
        # Jobs with other limits may share the pool.
        return self._pool.with_source(partial(self._engines, limits=self._limits()))

    def _limits(self) -> Limits:
        settings = self._settings
        remote = RemoteAccess(
            settings.remote_timeout_ms, settings.remote_headers_file, settings.remote_ca_file
        )
        return Limits(settings.unpacked_size_limit, settings.pmml_size_limit, remote)
