"""Checks the checkpoint or savepoint that ``flink run -s`` names, before the job is submitted.

A job whose state cannot be read would start, fail at its first record, and restart for minutes before it
gives up. A checkpoint's metadata lists the operators with their uids and names, which is enough to find this
out before. The schema version of the state is in the name of an operator; state without it is version 1.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway

from model_serving.core.state import SCHEMA_VERSION

__all__ = ["RestoreError", "check_restorable", "named_with_schema", "refusal"]

_VERSION = re.compile(r"\(state schema (\d+)\)")
_SERVES = {"serve-keyed": "keyed.py", "serve-broadcast": "broadcast.py"}
"""The uid of an operator that only one of the jobs has → the name of that job."""


class RestoreError(Exception):
    """The job cannot be restored from the named checkpoint or savepoint; the text is one line."""


def named_with_schema(name: str) -> str:
    """The name of an operator, followed by the schema version of its state, which a restore checks."""
    return f"{name} (state schema {SCHEMA_VERSION})"


def check_restorable(program: str, settings: Configuration) -> None:
    """Checks the checkpoint or savepoint that the settings name, if they name one.

    ``--allowNonRestoredState`` accepts another job's state, but never newer state. If the job goes to a
    cluster, a path that this machine cannot open is left for the cluster to check.

    Raises:
        RestoreError: no checkpoint or savepoint can be read at the path, this job did not make it, or newer
            software did.
    """
    path = settings.get_string("execution.state-recovery.path", "")
    if not path:
        return
    try:
        operators = _operators(path)
    # Py4J wraps every error of the file system.
    except Exception as error:
        if settings.get_string("execution.target", "local") != "local":
            return
        raise RestoreError(
            f"no savepoint or checkpoint can be read from {path} (flink run -s): name a folder that holds a "
            "_metadata file, such as savepoint-0eacaf-00d474740a26 or chk-50"
        ) from error
    others = settings.get_string("execution.state-recovery.ignore-unclaimed-state", "false") == "true"
    if why := refusal(program, path, operators, accept_others=others):
        raise RestoreError(why)


def refusal(program: str, path: str, operators: Mapping[str, str], *, accept_others: bool) -> str:
    """Why a job cannot go on from the state of these operators (uid → name); empty when it can.

    ``accept_others`` accepts the state of another job.
    """
    versions = [int(found[1]) for name in operators.values() if (found := _VERSION.search(name))]
    if max(versions, default=1) > SCHEMA_VERSION:
        return (
            f"{path} holds state of schema version {max(versions)}, this software reads up to "
            f"{SCHEMA_VERSION}: restore it with the version that wrote it, or a later one"
        )
    makers = {_SERVES[uid] for uid in operators if uid in _SERVES}
    if accept_others or program in makers:
        return ""
    for maker in makers:
        return (
            f"{path} was made by the other job, which keeps its models in another way: "
            f"restore it with flink run -s {shlex.quote(path)} -py flink_jobs/{maker}"
        )
    return f"{path} was not made by {program}: restore it with the program that made it"


def _operators(path: str) -> dict[str, str]:
    """The operators of a checkpoint or savepoint: uid → name."""
    jvm: Any = get_gateway().jvm
    runtime = jvm.org.apache.flink.runtime
    location = runtime.state.filesystem.AbstractFsCheckpointStorageAccess.resolveCheckpointPointer(path)
    stream = jvm.java.io.DataInputStream(location.getMetadataHandle().openInputStream())
    try:
        classes = jvm.java.lang.Thread.currentThread().getContextClassLoader()
        metadata = runtime.checkpoint.Checkpoints.loadCheckpointMetadata(stream, classes, path)
    finally:
        stream.close()
    return {
        str(operator.getOperatorUid().orElse("")): str(operator.getOperatorName().orElse(""))
        for operator in metadata.getOperatorStates()
    }
