"""Reads and completes the command line of `flink`. Pure: arguments in, arguments out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from model_serving.runtime.errors import SetupError
from model_serving.runtime.variables import variable

__all__ = ["JOB_SCRIPTS", "REST_VARIABLE", "FlinkCall", "JobScript", "read_call"]

JOB_SCRIPTS = frozenset({"keyed.py", "broadcast.py"})
_JOB_FOLDER = "flink_jobs"
REST_VARIABLE = "FLINK_REST"
_PARALLELISM_VARIABLE = variable("parallelism")

_ASK_CLUSTER = frozenset({"cancel", "checkpoint", "list", "savepoint", "stop"})
_NAMES_CLUSTER = frozenset({"-m", "--jobmanager", "-t", "--target", "-e", "--executor"})
_NAMES_CLUSTER_JOINED = ("--jobmanager=", "--target=", "-Dexecution.target=")
_PYTHON_OPTIONS = frozenset({"-py", "--python"})
# Options of `flink run` (CliFrontendParser and GenericCLI of Flink 2.2) that a Python program can have.
_VALUE_OPTIONS = {
    "-C": "--classpath",
    "-c": "--class",
    "-claimMode": "--claimMode",
    "-e": "--executor",
    "-m": "--jobmanager",
    "-py": "--python",
    "-pyarch": "--pyArchives",
    "-pyclientexec": "--pyClientExecutable",
    "-pyexec": "--pyExecutable",
    "-pyfs": "--pyFiles",
    "-pym": "--pyModule",
    "-pypath": "--pyPythonPath",
    "-pyreq": "--pyRequirements",
    "-s": "--fromSavepoint",
    "-t": "--target",
}
_WITH_VALUE = frozenset({*_VALUE_OPTIONS, *_VALUE_OPTIONS.values(), "-D", "-p"})
_SWITCHES = {"-d": "--detached", "-n": "--allowNonRestoredState", "-sae": "--shutdownOnAttachedExit"}
_WITHOUT_VALUE = frozenset({*_SWITCHES, *_SWITCHES.values(), "-h"})
_RESTORE = frozenset({"-s", "--fromSavepoint", "-n", "--allowNonRestoredState", "-claimMode", "--claimMode"})
_RESTORE_SETTINGS = "execution.state-recovery."
# Options that Flink and the jobs share: before the script they are Flink's, after it the job's. The number
# is how many words an option has.
_BEFORE_SCRIPT = {"--help": 1, "--parallelism": 2}
_HOST_PORT = re.compile(r"(?:https?://)?(?P<address>[\w.-]+:\d{1,5})/?")


@dataclass(frozen=True, slots=True)
class JobScript:
    """One of this project's jobs and its own arguments.

    ``again`` are the words that follow ``flink run -s SNAPSHOT`` to restore the same job: the words of this
    call, without the options for the snapshot that it was restored from.
    """

    path: Path
    arguments: tuple[str, ...]
    again: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class FlinkCall:
    """The arguments for Flink's own command line.

    `job` is set when the call runs one of this project's jobs. The caller adds `variables` to the environment
    if they are not set already.
    """

    arguments: tuple[str, ...]
    job: JobScript | None
    variables: Mapping[str, str]


def read_call(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    project: Path,
    exists: Callable[[Path], bool] = Path.exists,
) -> FlinkCall:
    """Completes a call of `flink`: adds a target if none is named, and the folder of a job's script.

    The cluster comes from the arguments, else from FLINK_REST, else a run is local. A script path
    `flink_jobs/...` that does not exist is taken from `project`, so that the call works from any folder.

    Raises:
        SetupError: FLINK_REST is not host:port.
    """
    if not arguments or arguments[0] not in _ASK_CLUSTER | {"run"}:
        return FlinkCall(tuple(arguments), job=None, variables={})
    action, *rest = arguments
    if action != "run":
        target = [] if _names_cluster(rest) else _rest_target(environ)
        return FlinkCall((action, *target, *rest), job=None, variables={})

    own, program = _split(rest)
    if _asks_help(own):
        return FlinkCall((action, *rest), job=None, variables={})
    target = [] if _names_cluster(own) else _rest_target(environ) or ["-t", "local"]
    position = next((index + 1 for index, option in enumerate(own[:-1]) if option in _PYTHON_OPTIONS), None)
    script = None if position is None else Path(own[position])
    if position is None or script is None or not _is_job(script):
        return FlinkCall((action, *target, *rest), job=None, variables={})

    again = (*_without_restore(own), *rest[len(own) :])
    if not exists(script) and not script.is_absolute() and exists(project / script):
        script = project / script
        own[position] = str(script)
    # "--" ends Flink's own options. Without it Flink would read the job's --parallelism as its own.
    completed = (action, *target, *own, *(["--", *program] if program else []))
    return FlinkCall(completed, JobScript(script, tuple(program), again), _parallelism(own))


def _split(rest: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns Flink's options, and the program's arguments, which begin at the first word not Flink's."""
    own: list[str] = []
    index = 0
    while index < len(rest):
        word = rest[index]
        if word == "--":
            return own, list(rest[index + 1 :])
        if word in _WITH_VALUE:
            own += rest[index : index + 2]
            index += 2
        elif word in _WITHOUT_VALUE or _is_joined(word):
            own.append(word)
            index += 1
        elif word in _BEFORE_SCRIPT and _PYTHON_OPTIONS.isdisjoint(own):
            own += rest[index : index + _BEFORE_SCRIPT[word]]
            index += _BEFORE_SCRIPT[word]
        else:
            break
    return own, list(rest[index:])


def _without_restore(own: Sequence[str]) -> list[str]:
    """Returns Flink's own options without those about a savepoint or checkpoint."""
    kept: list[str] = []
    index = 0
    while index < len(own):
        length = 2 if own[index] in _WITH_VALUE else 1
        option = own[index : index + length]
        name = option[0].partition("=")[0]
        setting = option[-1].removeprefix("-D")
        if name not in _RESTORE and not setting.startswith(_RESTORE_SETTINGS):
            kept += option
        index += length
    return kept


def _is_joined(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return word.startswith("-D") or (bool(equals) and name in _WITH_VALUE)


def _is_job(script: Path) -> bool:
    return script.name in JOB_SCRIPTS and script.absolute().parent.name == _JOB_FOLDER


def _asks_help(own: Sequence[str]) -> bool:
    return "-h" in own or "--help" in own


def _names_cluster(own: Sequence[str]) -> bool:
    return (
        not _NAMES_CLUSTER.isdisjoint(own)
        or any(word.startswith(_NAMES_CLUSTER_JOINED) for word in own)
        or any(word == "-D" and value.startswith("execution.target=") for word, value in pairwise(own))
    )


def _rest_target(environ: Mapping[str, str]) -> list[str]:
    address = environ.get(REST_VARIABLE, "").strip()
    if not address:
        return []
    found = _HOST_PORT.fullmatch(address)
    if found is None:
        raise SetupError(
            f"{REST_VARIABLE}={address!r} is not host:port; set it like localhost:8081, or unset it"
        )
    return ["-m", found["address"]]


def _parallelism(own: Sequence[str]) -> dict[str, str]:
    """Returns Flink's -p as the variable for the job's own option, because the job sets its parallelism."""
    values = [value for word, value in pairwise(own) if word in {"-p", "--parallelism"}]
    return {_PARALLELISM_VARIABLE: values[-1]} if values else {}
