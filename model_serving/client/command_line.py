"""The command line of ``model-serving``: the options of each command, and their help texts."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from model_serving.client import commands
from model_serving.client.completion import SHELLS
from model_serving.client.decoding import Kind
from model_serving.client.hosts import QUERY_SERVER, SERVER
from model_serving.client.observing.options import query_options, stats_options, status_options, top_options
from model_serving.client.option_values import (
    OneOf,
    count,
    fields,
    inputs,
    names,
    not_negative,
    place,
    port,
    rate,
    some_text,
)
from model_serving.client.printable import printable
from model_serving.client.settings_options import (
    add_key_file,
    add_limits,
    add_record_type,
    add_setting,
    add_topics,
)
from model_serving.core.messages import ModelType, OutputRule, Reason

__all__ = ["build_parser"]

_TYPES = [kind.name for kind in ModelType]
_REASONS = [reason.name for reason in Reason if reason]


_WITHOUT_KAFKA = {"completion"}
"""Commands that have no flags for Kafka."""


class _Wide(argparse.HelpFormatter):
    """Leaves room for the flags, so that their help texts are beside them."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


class _Parser(argparse.ArgumentParser):
    """Reports a wrong call on one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, printable(f"{self.prog}: {message}; see `{self.prog} --help`") + "\n")


def build_parser(program: str) -> argparse.ArgumentParser:
    """Returns the parser of the whole command line. Its result has the command's function as ``run``."""
    parser = _Parser(
        prog=program,
        description="Models and records in, results out: the client of the serving jobs, and the server that "
        "needs no Flink.",
        epilog=f"`{program} COMMAND --help` shows the options of a command. Exit status: 0; 1 for an error, "
        "which is one line; 2 for a wrong call.",
        formatter_class=_Wide,
    )
    families = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    families.add_parser(SERVER, help="Serve in this process, without Flink and without Java.", add_help=False)
    families.add_parser(
        QUERY_SERVER, help="Answer over HTTP what serves, how well, and what was refused.", add_help=False
    )
    for name, (run, text, add_options) in _COMMANDS.items():
        command = families.add_parser(name, help=text, description=text, formatter_class=_Wide)
        command.set_defaults(run=run, program=program)
        add_options(command)
        if name in _WITHOUT_KAFKA:
            continue
        add_setting(command, "--bootstrap-servers", "localhost:9092", "the Kafka to use", metavar="HOST:PORT")
        add_setting(
            command, "--kafka-config", "", "client properties for a Kafka with TLS or a login", metavar="FILE"
        )
    return parser


def _broker_options(broker: argparse.ArgumentParser) -> None:
    broker.add_argument(
        "--port", type=port, metavar="PORT", help="the port that Kafka listens on (default: 9092)"
    )
    broker.add_argument(
        "--data-dir", type=Path, metavar="D", help="the folder for its data (default: a temporary folder)"
    )
    broker.add_argument(
        "--keep", action="store_true", help="continue with the data of the last run, and keep the data"
    )
    broker.add_argument(
        "--partitions",
        type=count,
        default=1,
        metavar="N",
        help="partitions of each topic but that of the models (default: 1)",
    )
    add_topics(broker, *Kind)


def _publish_models_options(models: argparse.ArgumentParser) -> None:
    models.add_argument(
        "paths",
        nargs="*",
        type=place,
        metavar="PATH",
        help="model files and SavedModel folders, or their URLs (default: the sample models)",
    )
    models.add_argument(
        "--data-type", type=some_text, default="wine", help="the data type that they score (default: wine)"
    )
    models.add_argument(
        "--interval-s",
        type=not_negative,
        metavar="SECONDS",
        help="the time between two models (default: 60; with --once 0)",
    )
    models.add_argument("--once", action="store_true", help="publish each model once, instead of for ever")
    models.add_argument("--by-location", action="store_true", help="send the model's location, not its bytes")
    _add_details(models)
    checks = models.add_argument_group("trying the models first, see also the command try")
    checks.add_argument(
        "--try",
        dest="tried",
        type=Path,
        metavar="CSV",
        help="load each model and score these records as a job would; if a job would reject a model, or a "
        "record is not scored, nothing is sent, not the other models either, and the exit status is 1",
    )
    checks.add_argument(
        "--examples",
        type=count,
        metavar="N",
        help="put N of the records with their results into the messages, which the job then checks",
    )
    add_key_file(models)
    add_record_type(models)
    add_limits(models)
    add_topics(models, Kind.MODELS)


def _try_options(tried: argparse.ArgumentParser) -> None:
    tried.add_argument(
        "model", type=place, metavar="MODEL", help="a model file, a SavedModel folder, or a URL"
    )
    tried.add_argument(
        "csv", nargs="?", type=Path, metavar="CSV", help="records to score, with `;` or `,` and a header"
    )
    tried.add_argument(
        "--fields",
        type=fields,
        default=(),
        metavar="A:TYPE,B:TYPE",
        help="the fields of a record: double, float, int32, int64, uint32, uint64, bool or string "
        "(default: those of --record-type, else told from the model and the header)",
    )
    tried.add_argument("--json", action="store_true", help="print one JSON object a record")
    _add_choices(tried)
    add_record_type(tried, "")
    add_limits(tried)


def _publish_data_options(data: argparse.ArgumentParser) -> None:
    data.add_argument(
        "csv",
        nargs="?",
        type=Path,
        metavar="CSV",
        help="a file with `;` or `,` between columns, with or without a header (default: the sample records, "
        "for ever)",
    )
    data.add_argument(
        "--data-type",
        type=some_text,
        default="wine",
        help="the data type of records that have none in a column dataType (default: wine)",
    )
    data.add_argument(
        "--columns",
        type=names,
        metavar="A,B,C",
        help="the fields of the columns, used instead of a header: names of fields, dataType, ts, or - for a "
        "column to leave out",
    )
    data.add_argument("--rate", type=rate, default=1.0, metavar="N", help="records a second (default: 1)")
    data.add_argument("--count", type=count, metavar="N", help="stop after N records")
    data.add_argument("--loop", action="store_true", help="start again at the end of the file")
    add_record_type(data)
    add_topics(data, Kind.DATA)


def _read_options(read: argparse.ArgumentParser) -> None:
    read.add_argument("topic", metavar="TOPIC", help="one of the job's topics")
    kinds = [kind.value for kind in Kind]
    read.add_argument(
        "--as",
        dest="kind",
        choices=kinds,
        metavar="KIND",
        help=f"the kind of the messages: {', '.join(kinds)} (default: from the topic's name)",
    )
    read.add_argument("--count", type=count, metavar="N", help="stop after N messages")
    read.add_argument("--from-beginning", action="store_true", help="start with the oldest message")
    read.add_argument(
        "--distinct",
        action="store_true",
        help="print one result of each record: leave out those that a Spark job has written again. Results "
        "of other hosts do not say which record they belong to, and all of them are printed",
    )
    read.add_argument("--json", action="store_true", help="print one JSON object a line")
    add_record_type(read)
    add_topics(read, *Kind)


def _completion_options(completion: argparse.ArgumentParser) -> None:
    completion.add_argument("shell", choices=SHELLS, help="the shell")


def _command_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "data_type", type=some_text, metavar="DATA_TYPE", help="the data type whose model changes"
    )
    add_key_file(command)
    add_topics(command, Kind.MODELS)


def _checkpoints_options(checkpoints: argparse.ArgumentParser) -> None:
    add_setting(
        checkpoints,
        "--checkpoint-dir",
        "checkpoints",
        "the job's --checkpoint-dir, a path or a URI",
        metavar="FOLDER",
    )
    checkpoints.add_argument(
        "--last", action="store_true", help="print only the path of the newest one, for `flink run -s`"
    )


def _replay_options(replay: argparse.ArgumentParser) -> None:
    replay.add_argument(
        "--reason",
        type=str.upper,
        choices=_REASONS,
        metavar="R",
        help=f"send only those with this reason ({', '.join(_REASONS)})",
    )
    replay.add_argument(
        "--again", action="store_true", help="start with the oldest, and send those again that were sent back"
    )
    replay.add_argument("--dry-run", action="store_true", help="only count, send nothing")
    add_topics(replay, Kind.DEAD_LETTERS)


def _add_details(models: argparse.ArgumentParser) -> None:
    details = _add_choices(models)
    details.add_argument(
        "--version", type=some_text, help="the version of one model (default: from the content's SHA-256)"
    )
    details.add_argument(
        "--description", type=some_text, help="a description in words (default: type and file)"
    )


def _add_choices(models: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    details = models.add_argument_group("the description of the model, for your own models")
    details.add_argument(
        "--model-type",
        type=OneOf(ModelType, _TYPES),
        metavar="TYPE",
        help=f"{', '.join(_TYPES)} (default: recognized from the content)",
    )
    details.add_argument(
        "--inputs",
        type=inputs,
        default=(),
        metavar="A,B,C",
        help="the record fields in the order of the model's inputs (default: the job pairs them)",
    )
    details.add_argument(
        "--output",
        type=OneOf(OutputRule, [rule.name for rule in OutputRule]),
        default=OutputRule.AUTO,
        metavar="RULE",
        help=f"how outputs become the result: {', '.join(rule.name for rule in OutputRule)} (default: AUTO)",
    )
    details.add_argument(
        "--result-output",
        type=some_text,
        metavar="OUTPUT",
        help="the model's output that gives the result",
    )
    details.add_argument(
        "--signature-name", type=some_text, metavar="NAME", help="the signature of a SavedModel"
    )
    return details


_COMMANDS: dict[
    str,
    tuple[Callable[[argparse.Namespace], None], str, Callable[[argparse.ArgumentParser], None]],
] = {
    "broker": (
        commands.run_broker,
        "Run an embedded Kafka until Ctrl-C, with the topics of a job.",
        _broker_options,
    ),
    "publish-models": (
        commands.run_publish_models,
        "Publish models in turn; their types are recognized from their content.",
        _publish_models_options,
    ),
    "try": (
        commands.run_try,
        "Load a model as a job would, without Kafka: what it is, and what it makes of records.",
        _try_options,
    ),
    "publish-data": (
        commands.run_publish_data,
        "Publish records from a CSV file at a steady rate.",
        _publish_data_options,
    ),
    "read": (commands.run_read, "Print the messages of a topic as they come.", _read_options),
    "status": (
        commands.run_status,
        "Show the model that serves each data type, and the version that it replaced.",
        status_options,
    ),
    "stats": (
        commands.run_stats,
        "Show the statistics of a data type: times, results and drift of each version.",
        stats_options,
    ),
    "top": (
        commands.run_top,
        "Show all data types live: what serves, records a second, times, what was not served.",
        top_options,
    ),
    "query": (
        commands.run_query,
        "Print a line an interval: what serves, since when, average, least and greatest time in the model.",
        query_options,
    ),
    "rollback": (
        commands.run_command,
        "Serve the previous version of a data type's model again.",
        _command_options,
    ),
    "remove": (commands.run_command, "Stop serving a data type.", _command_options),
    "checkpoints": (
        commands.run_checkpoints,
        "Show the checkpoints and savepoints that a job can be restored from, the newest first.",
        _checkpoints_options,
    ),
    "replay": (
        commands.run_replay,
        "Send the messages of dead letters back to their topics, each once, after the cause is fixed.",
        _replay_options,
    ),
    "completion": (
        commands.run_completion,
        "Print the completion of these commands for a shell.",
        _completion_options,
    ),
}
"""For each command: its function, its help text, and the function that adds its options."""
