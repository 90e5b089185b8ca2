"""The functions of the ``model-serving`` commands; each takes the parsed options."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from model_serving.client.broker.embedded import EmbeddedBroker, Retention
from model_serving.client.checkpoints import print_checkpoints, print_last_checkpoint
from model_serving.client.completion import completion_script
from model_serving.client.decoding import Kind, kind_of_topic, message_types
from model_serving.client.errors import WrongCall
from model_serving.client.model_messages import Content, Details, models_at, models_of_samples
from model_serving.client.observing.history import print_history
from model_serving.client.observing.live import show_top
from model_serving.client.observing.querying import query
from model_serving.client.observing.statistics import print_statistics
from model_serving.client.observing.topics import ObservedTopics
from model_serving.client.publishing import publish_command, publish_data, publish_models
from model_serving.client.reading import Form, Repeats, print_status, read_topic
from model_serving.client.record_files import DEFAULT_RECORD_TYPE, load_record_type
from model_serving.client.replay import replay
from model_serving.client.samples import sample_records
from model_serving.client.trying.check import ModelCheck
from model_serving.client.trying.command import try_model
from model_serving.client.trying.limits import settings_of
from model_serving.core.admission.signing import read_keys
from model_serving.core.messages import Command, Reason
from model_serving.messaging.access import KafkaAccess, read_kafka_config
from model_serving.messaging.receiving import Start
from model_serving.messaging.topics import TopicNames
from model_serving.observe.ranking import Order

__all__ = [
    "run_broker",
    "run_checkpoints",
    "run_command",
    "run_completion",
    "run_publish_data",
    "run_publish_models",
    "run_query",
    "run_read",
    "run_replay",
    "run_stats",
    "run_status",
    "run_top",
    "run_try",
]

_DEFAULT_INTERVAL_S = 60.0
_KEPT_FOLDER = Path("kafka-data")


def run_broker(options: argparse.Namespace) -> None:
    """Runs ``broker``: Kafka in the foreground.

    Raises:
        ClientError: Kafka does not start, or it ends by itself.
    """
    folder = options.data_dir or (_KEPT_FOLDER if options.keep else None)
    broker = EmbeddedBroker(
        port=options.port or _port_of(options.bootstrap_servers),
        folder=folder,
        retention=Retention.KEEP if options.keep else Retention.CLEAN,
        topics=_topics(options),
        partitions=options.partitions,
    )
    with broker:
        print(
            f"Kafka runs at {broker.bootstrap_servers}, its log is {broker.log_file}; Ctrl-C stops it",
            flush=True,
        )
        broker.wait()


def run_try(options: argparse.Namespace) -> None:
    """Runs ``try``."""
    try_model(
        options.model,
        options.csv,
        _choices(options),
        settings_of(options, options.record_type or DEFAULT_RECORD_TYPE),
        fields=options.fields,
        record_type=options.record_type,
        form=_form(options),
    )


def run_publish_models(options: argparse.Namespace) -> None:
    """Runs ``publish-models``."""
    details = replace(_choices(options), version=options.version or "", description=options.description or "")
    if not options.paths and details != Details():
        raise WrongCall("the options that describe a model are for your own models: name them (PATH)")
    if options.examples and options.tried is None:
        raise WrongCall("--examples takes its records from a file: name it with --try")
    pause_s = 0.0 if options.once else _DEFAULT_INTERVAL_S
    publish_models(
        _kafka(options),
        options.models_topic,
        models_at(options.paths, details) if options.paths else models_of_samples(options.data_type),
        data_type=options.data_type,
        content=Content.LOCATION if options.by_location else Content.DATA,
        interval_s=pause_s if options.interval_s is None else options.interval_s,
        rounds=1 if options.once else None,
        key=_key(options),
        check=None
        if options.tried is None
        else ModelCheck(
            options.tried,
            settings_of(options, options.record_type),
            data_type=options.data_type,
            examples=options.examples or 0,
        ),
    )


def run_publish_data(options: argparse.Namespace) -> None:
    """Runs ``publish-data``."""
    if options.columns and options.csv is None:
        raise WrongCall("--columns describes the columns of your own file: name the file (CSV)")
    publish_data(
        _kafka(options),
        options.data_topic,
        options.csv or sample_records(),
        record_type=load_record_type(options.record_type),
        data_type=options.data_type,
        columns=options.columns,
        rate=options.rate,
        count=options.count,
        repeat=options.loop or options.csv is None,
    )


def run_read(options: argparse.Namespace) -> None:
    """Runs ``read``."""
    kind = Kind(options.kind) if options.kind else kind_of_topic(options.topic, _topics(options))
    if kind is None:
        raise WrongCall(
            f"the kind of the messages on '{options.topic}' is not known from its name: "
            f"give it with --as ({', '.join(kind.value for kind in Kind)})"
        )
    if options.distinct and kind is not Kind.RESULTS:
        raise WrongCall(f"--distinct is for results, and '{options.topic}' has {kind.value}: leave it out")
    read_topic(
        _kafka(options),
        options.topic,
        kind=kind,
        message_type=message_types(load_record_type(options.record_type).message)[kind],
        start=Start.BEGINNING if options.from_beginning else Start.NOW,
        count=options.count,
        form=_form(options),
        repeats=Repeats.LEFT_OUT if options.distinct else Repeats.PRINTED,
    )


def run_status(options: argparse.Namespace) -> None:
    """Runs ``status``."""
    show = print_history if options.history else print_status
    show(_kafka(options), options.status_topic, data_type=options.data_type, form=_form(options))


def run_stats(options: argparse.Namespace) -> None:
    """Runs ``stats``."""
    print_statistics(_kafka(options), _observed(options), options.data_type, form=_form(options))


def run_top(options: argparse.Namespace) -> None:
    """Runs ``top``."""
    show_top(
        _kafka(options),
        _observed(options),
        order=Order(options.sort),
        search=options.search,
        once=options.once,
    )


def run_query(options: argparse.Namespace) -> None:
    """Runs ``query``."""
    query(
        _kafka(options),
        _observed(options),
        options.data_type,
        interval_s=options.interval_s,
        count=options.count,
    )


def run_completion(options: argparse.Namespace) -> None:
    """Runs ``completion``."""
    from model_serving.client.command_line import build_parser
    from model_serving.client.hosts import QUERY_SERVER, SERVER
    from model_serving.query.config import FLAGS as OF_QUERIES
    from model_serving.server.config import FLAGS

    own = {
        command: [f"--{flag.name}" for flag in flags]
        for command, flags in {SERVER: FLAGS, QUERY_SERVER: OF_QUERIES}.items()
    }
    print(completion_script(build_parser(options.program), options.shell, own), end="")


def run_command(options: argparse.Namespace) -> None:
    """Runs ``rollback`` and ``remove``."""
    publish_command(
        _kafka(options),
        options.models_topic,
        Command[options.command.upper()],
        data_type=options.data_type,
        key=_key(options),
    )


def run_checkpoints(options: argparse.Namespace) -> None:
    """Runs ``checkpoints``."""
    show = print_last_checkpoint if options.last else print_checkpoints
    show(options.checkpoint_dir)


def run_replay(options: argparse.Namespace) -> None:
    """Runs ``replay``."""
    replay(
        _kafka(options),
        options.dead_letter_topic,
        [Reason[options.reason]] if options.reason else list(Reason),
        again=options.again,
        dry_run=options.dry_run,
    )


def _choices(options: argparse.Namespace) -> Details:
    return Details(
        model_type=options.model_type,
        inputs=options.inputs,
        output=options.output,
        result_output=options.result_output or "",
        signature_name=options.signature_name or "",
    )


def _key(options: argparse.Namespace) -> bytes | None:
    if not options.model_key_file:
        return None
    try:
        return read_keys(options.model_key_file)[0]
    except ValueError as error:
        raise WrongCall(f"--model-key-file: {error}") from None


def _kafka(options: argparse.Namespace) -> KafkaAccess:
    if not options.kafka_config:
        return KafkaAccess(options.bootstrap_servers)
    try:
        return KafkaAccess(options.bootstrap_servers, read_kafka_config(options.kafka_config))
    except ValueError as error:
        raise WrongCall(f"--kafka-config: {error}") from None


def _form(options: argparse.Namespace) -> Form:
    return Form.JSON if options.json else Form.TEXT


def _topics(options: argparse.Namespace) -> TopicNames:
    return TopicNames(
        models=options.models_topic,
        data=options.data_topic,
        results=options.results_topic,
        dead_letters=options.dead_letter_topic,
        status=options.status_topic,
        stats=options.stats_topic,
    )


def _observed(options: argparse.Namespace) -> ObservedTopics:
    return ObservedTopics(options.status_topic, options.stats_topic, options.dead_letter_topic)


def _port_of(bootstrap_servers: str) -> int:
    """Returns the port of the broker that the other commands use with the same setting."""
    port = bootstrap_servers.partition(",")[0].rpartition(":")[2]
    return int(port) if port.isdecimal() else 9092
