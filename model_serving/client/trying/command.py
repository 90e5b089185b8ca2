"""The command ``try``: what a model is and what it makes of records, without Kafka."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from model_serving.client.errors import ClientError
from model_serving.client.model_files import Place, content_at
from model_serving.client.model_messages import Content, Details, TooLarge, build_message, models_at
from model_serving.client.printable import printable
from model_serving.client.reading import Form
from model_serving.client.record_files import load_record_type, read_record_file
from model_serving.client.trying.fields import Field, Fields, told_fields
from model_serving.client.trying.records import ColumnRecords, MessageRecords, Records
from model_serving.client.trying.report import (
    print_description,
    print_description_as_json,
    print_rows,
    print_rows_as_json,
)
from model_serving.client.trying.table import Table, read_table
from model_serving.client.trying.trial import Trial, admitted
from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ModelRejected, Unavailable
from model_serving.core.messages import ModelType
from model_serving.core.model_servers.location import SCORED_BY_A_SERVER
from model_serving.engines.limits import Limits, RemoteAccess
from model_serving.engines.model_inputs import told_inputs
from model_serving.engines.remote.told import served_inputs
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.settings import ServingSettings
from model_serving.wire import RecordCodec

__all__ = ["try_model"]

_DATA_TYPE = "try"


def try_model(
    place: Place,
    csv_file: Path | None,
    details: Details,
    settings: ServingSettings,
    *,
    fields: Sequence[Field],
    record_type: str,
    form: Form,
) -> None:
    """Loads a model as a job does, and prints what it is and what it makes of the records of a file.

    JSON is one object a record, or without a file one object about the model. Remarks go to standard error.

    Args:
        place: the model.
        csv_file: the records, under a header; None: only the description is printed.
        details: what the message says about the model.
        settings: the limits and policies of the job.
        fields: the fields of a record; empty: those of ``record_type``.
        record_type: the protobuf message of a record; empty: the fields are told from the model and the file.
        form: how to print.

    Raises:
        ClientError: a job would reject the model, or a line of the file is not a record.
        WrongCall: ``details`` do not fit the model, or its fields cannot be told.
    """
    message = _message(place, details)
    table, found = None, Fields(())
    records: Records | None
    if record_type and not fields:
        schema, records = _messages(csv_file, record_type)
    else:
        table = None if csv_file is None else read_table(csv_file)
        found = _given(fields, table) if fields else _told(place, message, details, settings, table)
        records = None if table is None else ColumnRecords(table, found)
        schema = found.schema("the record" if table is None else table.path.name)
    try:
        with admitted(message.SerializeToString(), schema, settings) as trial:
            if table is not None and isinstance(records, ColumnRecords):
                records.read(trial.fields)
                _say_left_out(table, found, trial)
            if found.note:
                _remark(found.note)
            _print(trial, records, form)
    except (ModelRejected, Unavailable) as error:
        raise ClientError(f"a job would reject {place}: {error}") from error


def _message(place: Place, details: Details) -> ModelDescriptor:
    (model,) = models_at([place], details)
    try:
        return build_message(model, data_type=_DATA_TYPE, content=Content.DATA)
    except TooLarge as error:
        _remark(str(error))
        return build_message(model, data_type=_DATA_TYPE, content=Content.LOCATION)


def _messages(csv_file: Path | None, record_type: str) -> tuple[RecordSchema, Records | None]:
    known = load_record_type(record_type)
    codec = RecordCodec(record_type)
    if csv_file is None:
        return codec.schema, None
    file = read_record_file(csv_file, known, _DATA_TYPE)
    for line in file.assumed:
        _remark(line)
    return codec.schema, MessageRecords(file, codec)


def _given(fields: Sequence[Field], table: Table | None) -> Fields:
    if table is None:
        return Fields(tuple(fields))
    return Fields(tuple(Field(table.column(field.name), field.type) for field in fields))


def _told(
    place: Place,
    message: ModelDescriptor,
    details: Details,
    settings: ServingSettings,
    table: Table | None,
) -> Fields:
    kind = ModelType(message.modeltype)
    if kind in SCORED_BY_A_SERVER:
        access = RemoteAccess(
            settings.remote_timeout_ms, settings.remote_headers_file, settings.remote_ca_file
        )
        try:
            inputs = served_inputs(kind, message.location, access, details.signature_name)
        except (ModelRejected, Unavailable) as error:
            raise ClientError(f"a job would reject {place}: {error}") from error
    else:
        content = message.data or content_at(place)
        limits = Limits(settings.unpacked_size_limit, settings.pmml_size_limit)
        inputs = told_inputs(kind, content, limits, details.signature_name)
    return told_fields(kind, inputs, details.inputs, table)


def _say_left_out(table: Table, found: Fields, trial: Trial) -> None:
    others = [f"'{name}'" for name in table.columns if name not in (*trial.fields, found.label)]
    others += table.left_out
    if others:
        _remark(f"{table.path}: left out, because the model does not take it: {', '.join(others)}")


def _print(trial: Trial, records: Records | None, form: Form) -> None:
    if form is Form.JSON:
        if records is None:
            print_description_as_json(trial, trial.pace(None))
        else:
            print_rows_as_json(trial.score(records))
        return
    print_description(trial, trial.pace(records))
    if records is not None:
        print()
        print_rows(trial.score(records))


def _remark(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
