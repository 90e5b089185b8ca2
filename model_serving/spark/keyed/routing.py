"""Reads the messages of both topics and routes them by data type: functions for Spark's ``mapInArrow``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from model_serving.core.channels import Channel, Emitted
from model_serving.settings import ServingSettings
from model_serving.spark import worker
from model_serving.spark.keyed.rows import (
    NOBODY,
    Kind,
    RoutedRow,
    arrow_rows,
    pack_messages,
    pack_vector,
    split,
)
from model_serving.spark.outputs import origins_of

__all__ = ["Route", "RouteModels", "RouteRecords"]


class Route(Protocol):
    """Reads one topic."""

    def rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches with the columns ``value``, ``partition`` and ``offset`` → batches of routed rows."""
        ...


_KINDS = {Channel.DEAD_LETTERS: Kind.DEAD_LETTERS, Channel.STATUSES: Kind.STATUSES}


class RouteRecords:
    """Records from Kafka → vectors of the records of one data type; other messages → dead letters."""

    def __init__(self, settings: ServingSettings, news: Sequence[str] = ()) -> None:
        """``news`` are the keys that get a row without content from each partition that is read."""
        self._settings = settings
        self._news = tuple(news)

    def rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """See Route."""
        if self._news:
            yield _news(self._news)
        for batch in batches:
            if batch.num_rows:
                yield arrow_rows(self._routed(batch))

    def _routed(self, batch: pa.RecordBatch) -> list[RoutedRow]:
        parts = worker.parts(self._settings)
        origins = origins_of(batch.column("partition").to_numpy(), batch.column("offset").to_numpy())
        decoded = parts.codec.decode(_payloads(batch), origins)
        rows = []
        if decoded.refused:
            emitted = Emitted()
            parts.refusals().unread(decoded.refused, emitted)
            rows += _side_rows(emitted, int(origins[0]))
        for whole in decoded.batches:
            for vector in split(whole):
                place = int(origins[0] if vector.origins is None else vector.origins[0])
                body = pack_vector(parts.codec.pack([vector]))
                rows.append(RoutedRow(vector.data_type, Kind.RECORDS, place, body))
        return rows


class RouteModels:
    """Model messages from Kafka → rows by data type; messages that cannot be routed → dead letters."""

    def __init__(self, settings: ServingSettings, news: Sequence[str] = ()) -> None:
        """See RouteRecords."""
        self._settings = settings
        self._news = tuple(news)

    def rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """See Route.

        Raises:
            ValueError: the key file cannot be read, or has no key in it.
        """
        if self._news:
            yield _news(self._news)
        for batch in batches:
            gate = worker.parts(self._settings).gate(0)
            origins = origins_of(batch.column("partition").to_numpy(), batch.column("offset").to_numpy())
            # A row a batch: a model may be as large as Kafka's largest message.
            for payload, place in zip(_payloads(batch), origins.tolist(), strict=True):
                routed = gate.route(payload)
                if isinstance(routed, Emitted):
                    yield arrow_rows(_side_rows(routed, place))
                else:
                    yield arrow_rows([RoutedRow(routed, Kind.MODEL, place, payload)])


def _payloads(batch: pa.RecordBatch) -> list[bytes]:
    """The messages of a batch; a message without a value becomes empty bytes."""
    return [payload or b"" for payload in batch.column("value").to_pylist()]


def _side_rows(emitted: Emitted, place: int) -> list[RoutedRow]:
    rows = []
    for channel, kind in _KINDS.items():
        messages = list(emitted.on(channel))
        if messages:
            rows.append(RoutedRow(NOBODY, kind, place, pack_messages(messages)))
    return rows


def _news(keys: Sequence[str]) -> pa.RecordBatch:
    return arrow_rows([RoutedRow(key, Kind.NEWS, 0, b"") for key in keys])
