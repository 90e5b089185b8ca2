"""Publishes models in turn, records at a steady rate, and commands."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from model_serving.client.errors import ClientError
from model_serving.client.model_messages import (
    Content,
    ModelToPublish,
    build_command,
    build_message,
    describe,
    require_size,
)
from model_serving.client.printable import printable
from model_serving.client.record_files import FileRecord, RecordType, read_record_file
from model_serving.client.samples import sample_records
from model_serving.client.schedule import steady
from model_serving.client.trying.check import ModelCheck, Refused
from model_serving.core.admission.signing import sign
from model_serving.core.messages import Command
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.sending import Sender
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor

__all__ = ["publish_command", "publish_data", "publish_models", "send_at_rate", "send_message"]

_REPORT_EVERY_S = 10.0


def publish_models(
    kafka: KafkaAccess,
    topic: str,
    models: Sequence[ModelToPublish],
    *,
    data_type: str,
    content: Content,
    interval_s: float,
    rounds: int | None,
    key: bytes | None = None,
    check: ModelCheck | None = None,
) -> None:
    """Publishes the models in turn, ``interval_s`` seconds apart, for ever when ``rounds`` is None.

    If there is a ``key``, the messages are signed with it. With a ``check``, all models are tried first, and
    nothing is sent if one of them is refused.

    Raises:
        ClientError: a file is not a model or is too large, or a model is refused (nothing is sent then); or
            Kafka refuses a message.
    """

    def message_of(model: ModelToPublish) -> ModelDescriptor:
        message = build_message(model, data_type=data_type, content=content)
        if check is not None:
            message = check(message)
            # Its examples have made it larger.
            require_size(message, model.path)
        return message

    _require_all(models, message_of)
    turns = itertools.count() if rounds is None else range(rounds)
    with Sender(kafka, topic, compressed=True) as sender:
        for number, model in enumerate(model for _ in turns for model in models):
            if number:
                time.sleep(interval_s)
            # Each turn reads the file again, because a new training may have replaced it meanwhile.
            message = message_of(model)
            send_message(sender, message, key)
            print(printable(f"published {describe(message)}"), flush=True)


def _require_all(
    models: Sequence[ModelToPublish], message_of: Callable[[ModelToPublish], ModelDescriptor]
) -> None:
    """Makes every message once. Says for each model that is refused why, before it raises an error."""
    refused = []
    for model in models:
        try:
            message_of(model)
        except Refused as error:
            refused.append(str(error))
    if len(refused) == 1:
        raise ClientError(f"{refused[0]}; nothing is sent")
    if refused:
        for line in refused:
            print(printable(line), file=sys.stderr, flush=True)
        raise ClientError(f"{len(refused)} of {len(models)} models are refused, so nothing is sent")


def publish_data(
    kafka: KafkaAccess,
    topic: str,
    csv_file: Path,
    *,
    record_type: RecordType,
    data_type: str,
    columns: Sequence[str] | None = None,
    rate: float,
    count: int | None,
    repeat: bool,
) -> None:
    """Publishes the records of a file, and prints how many were sent.

    A record without a time gets the time at which it is sent. First it prints what is assumed about the file
    because the file does not say it.

    Args:
        kafka: the Kafka to connect to.
        topic: the topic of the records.
        csv_file: the file.
        record_type: the protobuf message of a record.
        data_type: the data type of records that have none in the file.
        columns: the field of each column, see ``read_record_file``.
        rate: records a second.
        count: the greatest number of records to send; None: all.
        repeat: whether to start again at the end of the file.

    Raises:
        ClientError: a line of the file is not a record (nothing is sent then), or Kafka refuses a record.
    """
    content = read_record_file(csv_file, record_type, data_type, columns)
    # The project's own sample file needs no explanation.
    for line in () if csv_file == sample_records() else content.assumed:
        print(printable(line), file=sys.stderr, flush=True)
    records = content.records
    stream = itertools.islice(itertools.cycle(records) if repeat else records, count)
    sent = 0
    reported = time.monotonic()
    try:
        with Sender(kafka, topic) as sender:
            for newly in send_at_rate(sender, stream, record_type=record_type, rate=rate):
                sent += newly
                if time.monotonic() - reported >= _REPORT_EVERY_S:
                    reported = time.monotonic()
                    print(f"{sent:,} records sent", file=sys.stderr, flush=True)
    finally:
        print(printable(f"sent {sent:,} records to '{topic}'"), flush=True)


def send_at_rate(
    sender: Sender, records: Iterable[FileRecord], *, record_type: RecordType, rate: float
) -> Iterable[int]:
    """Sends ``records``, ``rate`` a second, and yields the number of records after each send.

    Records without a time get the time at which they are sent.
    """
    stream = iter(records)
    for due in steady(rate):
        ts = time.time_ns() // 1_000_000
        stamp = record_type.stamp(ts)
        sent = 0
        for record in itertools.islice(stream, due):
            sender.send(record.payload if record.has_time else record.payload + stamp)
            sent += 1
        sender.serve()
        yield sent
        if sent < due:
            return


def publish_command(
    kafka: KafkaAccess, topic: str, command: Command, *, data_type: str, key: bytes | None = None
) -> None:
    """Publishes a command about the models of a data type. It is signed if there is a ``key``."""
    with Sender(kafka, topic) as sender:
        send_message(sender, build_command(command, data_type=data_type), key)
    print(
        printable(f"published {command.name} for '{data_type}'; see `model-serving status {data_type}`"),
        flush=True,
    )


def send_message(sender: Sender, message: ModelDescriptor, key: bytes | None) -> None:
    """Sends a model message, signed if there is a ``key``, and waits until Kafka has it.

    Raises:
        MessagingError: it was not delivered.
    """
    payload = message.SerializeToString()
    sender.send(payload if key is None else sign(payload, key), message.dataType)
    sender.flush()
