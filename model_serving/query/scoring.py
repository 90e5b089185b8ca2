"""Scores single records with the version that serves, loaded in this process as a job loads it."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Protocol

from model_serving.assembly import Parts, build, new_pool
from model_serving.core.admission.alone import prepared_alone
from model_serving.core.clock import SystemClock
from model_serving.core.errors import InvalidRecord, ModelRejected, Unavailable, UnparsableMessage
from model_serving.core.scoring.server import Server
from model_serving.query.errors import HttpError
from model_serving.query.ports import Document
from model_serving.settings import ServingSettings
from model_serving.wire import ModelMessages

__all__ = ["MessageSource", "ModelScorer"]

_AT_ONCE = 4
"""How many records are scored, or models loaded, at a time."""

_REFUSED_S = 30.0
"""How long it is remembered that a version cannot be loaded, in seconds."""

_RETRY = {"Retry-After": "2"}


class MessageSource(Protocol):
    """Finds model messages; see ``query.model_index``."""

    def messages(
        self, data_type: str, name: str, version: str, sha256: str, timeout_s: float
    ) -> Iterator[bytes]:
        """The messages that may have brought this version, the newest first.

        Raises:
            HttpError: they cannot be read now.
        """
        ...

    def close(self) -> None:
        """Stops reading."""
        ...


@dataclass(slots=True)
class _Loaded:
    """A version that is loaded, or that one thread loads while others wait for the lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    server: Server | None = None
    refusal: HttpError | None = None
    refused_s: float = 0.0
    dropped: bool = False


class ModelScorer:
    """See ``query.ports.Scorer``. Keeps the versions loaded that were asked for last.

    Loading and scoring run in threads that nothing can stop. A request waits ``timeout_s`` seconds; what is
    slower goes on, and a later request finds it done.
    """

    def __init__(
        self, source: MessageSource, settings: ServingSettings, *, models: int, timeout_s: float
    ) -> None:
        """``models`` is how many versions stay loaded."""
        self._source = source
        # A job's model store is not for this process, and nothing is taken back here.
        alone = replace(settings, model_store="", claims_stored=False, failure_threshold=0)
        self._parts: Parts = build(alone, SystemClock(), new_pool())
        self._models = models
        self._timeout_s = timeout_s
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[str, str, str, str], _Loaded] = OrderedDict()

    def score(self, serving: Document, data_type: str, record: Document) -> Document:
        """See ``query.ports.Scorer``."""
        try:
            payload = self._parts.codec.from_json(record, data_type, SystemClock().epoch_ms())
        except InvalidRecord as error:
            raise HttpError(422, str(error)) from None
        if not self._free.acquire(timeout=self._timeout_s):
            raise HttpError(503, f"{_AT_ONCE} records are being scored already: try again", _RETRY)
        done: Future[Document] = Future()

        def work() -> None:
            try:
                done.set_result(self._score(serving, data_type, payload))
            # BaseException: the caller waits for whatever happens here.
            except BaseException as error:  # noqa: BLE001
                done.set_exception(error)
            finally:
                self._free.release()

        threading.Thread(target=work, name="score", daemon=True).start()
        try:
            return done.result(self._timeout_s)
        except TimeoutError:
            raise HttpError(
                504,
                f"there is no result after {self._timeout_s:g} s, the model may be loading: try again",
                _RETRY,
            ) from None

    def close(self) -> None:
        """See ``query.ports.Scorer``. Models that are in use just now are left alone."""
        self._source.close()
        with self._lock:
            loaded, self._loaded = list(self._loaded.values()), OrderedDict()
        for one in loaded:
            _drop(one)

    def _score(self, serving: Document, data_type: str, payload: bytes) -> Document:
        key = (data_type, serving["name"], serving["version"], serving["sha256"])
        entry = self._entry(key)
        with entry.lock:
            if entry.refusal is not None and time.monotonic() - entry.refused_s > _REFUSED_S:
                entry.refusal = None
            if entry.server is None and entry.refusal is None:
                try:
                    entry.server = self._load(*key)
                except HttpError as error:
                    if error.status != 503:
                        entry.refusal, entry.refused_s = error, time.monotonic()
                    raise
                finally:
                    if entry.dropped and entry.server is not None:
                        entry.server.close()
                        entry.server = None
            if entry.refusal is not None:
                raise entry.refusal
            if entry.server is None:
                raise HttpError(503, "other versions were asked for meanwhile: try again", _RETRY)
            return self._answer(entry.server, serving, data_type, payload)

    def _entry(self, key: tuple[str, str, str, str]) -> _Loaded:
        with self._lock:
            entry = self._loaded.pop(key, None) or _Loaded()
            self._loaded[key] = entry
            dropped = [
                self._loaded.popitem(last=False)[1] for _ in range(max(0, len(self._loaded) - self._models))
            ]
        for one in dropped:
            _drop(one)
        return entry

    def _load(self, data_type: str, name: str, version: str, sha256: str) -> Server:
        """Loads the version from the newest message that has it.

        Raises:
            HttpError: no message has it, or it cannot be loaded here.
        """
        gate, admission, loads = self._parts.gate(0), self._parts.admission(), self._parts.loads()
        why = "its message is not on the models topic any more"
        try:
            for payload in self._source.messages(data_type, name, version, sha256, self._timeout_s):
                routed = gate.route(payload)
                if routed != data_type:
                    if not isinstance(routed, str):
                        why = "its message is not signed with a key of --model-key-file"
                    continue
                prepared = prepared_alone(admission, loads, ModelMessages().open(payload).read())
                try:
                    model = prepared.model
                    if model is None or model.version != version or (sha256 and model.sha256 != sha256):
                        why = "what is at its location has changed"
                        continue
                    server = self._parts.server()
                    server.activate(model)
                    return server
                finally:
                    prepared.release()
        except (ModelRejected, UnparsableMessage) as error:
            raise HttpError(502, f"version '{version}' does not load here: {error}") from error
        except Unavailable as error:
            raise HttpError(503, f"version '{version}' does not load now: {error}", _RETRY) from error
        finally:
            admission.close()
            loads.close(0.0)
        raise HttpError(502, f"version '{version}' cannot be loaded here: {why}")

    def _answer(self, server: Server, serving: Document, data_type: str, payload: bytes) -> Document:
        decoded = self._parts.codec.decode([payload])
        for _, error in decoded.refused:
            raise HttpError(422, str(error))
        outcome = server.serve(decoded.batches[0])
        for letter in outcome.dead_letters:
            raise HttpError(422, letter.detail)
        if not outcome.scored:
            raise HttpError(503, f"the model cannot be asked now: {outcome.outage}", _RETRY)
        (scored,) = outcome.scored
        scores = scored.scores
        return {
            "dataType": data_type,
            "name": serving["name"],
            "version": serving["version"],
            "modelType": serving["modelType"],
            "result": _number(scores.result[0]),
            "label": None if scores.labels is None else scores.labels[0],
            # As in a result message, an output without a value is left out.
            "outputs": {
                name: _number(values[0]) for name, values in scores.outputs.items() if values[0] == values[0]
            },
            "scoringMs": scored.scoring_ns / 1e6,
        }


def _number(value: float) -> float | str:
    """The number; a number that JSON lacks has its name in protobuf's JSON form."""
    number = float(value)
    return number if math.isfinite(number) else "Infinity" if number > 0 else "-Infinity"


def _drop(entry: _Loaded) -> None:
    """Releases the model, now or, if it is in use or being loaded, by whoever uses it."""
    entry.dropped = True
    if entry.lock.acquire(blocking=False):
        try:
            if entry.server is not None:
                entry.server.close()
                entry.server = None
        finally:
            entry.lock.release()
