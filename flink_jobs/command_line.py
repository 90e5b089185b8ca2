"""The `flink` command: runs Flink's own command line with this project's environment, from any folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from flink_jobs.handover import VARIABLE, Handover
from model_serving.runtime.environment import flink_environment, project_root
from model_serving.runtime.errors import SetupError
from model_serving.runtime.flink_args import FlinkCall, JobScript, read_call
from model_serving.runtime.flink_home import flink_home
from model_serving.runtime.supervise import run_supervised

__all__ = ["main"]


class _NotReadyError(Exception):
    """A job cannot start; the text is the line that the job's own script would print."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs Flink's command line with `argv` (default: this process's arguments). Returns its exit status.

    For this project's jobs, this process first checks the flags and the broker: a wrong flag ends with status
    2, an unreachable broker or an incomplete set-up with status 1, each with one line on standard error.
    """
    try:
        call = read_call(sys.argv[1:] if argv is None else argv, os.environ, project=project_root())
        environment = flink_environment({**os.environ, **_missing(call)})
        if call.job is not None:
            environment[VARIABLE] = _preflight(call.job, environment).text()
    except _NotReadyError as failure:
        print(failure, file=sys.stderr)
        return 1
    except SetupError as failure:
        print(f"flink: {failure}", file=sys.stderr)
        return 1
    return run_supervised(
        [flink_home().command, *call.arguments], environment, drop_abort_trace=call.job is not None
    )


def _missing(call: FlinkCall) -> dict[str, str]:
    return {name: value for name, value in call.variables.items() if name not in os.environ}


def _preflight(job: JobScript, environment: dict[str, str]) -> Handover:
    from flink_jobs.config import parse_config
    from flink_jobs.preflight import PreflightError, check_broker

    program = job.path.name
    try:
        checked = check_broker(parse_config(job.arguments, environment, program))
    except PreflightError as failure:
        raise _NotReadyError(f"{program}: {failure}") from failure
    for line in checked.news:
        print(f"{program}: {line}", file=sys.stderr)
    return Handover(checked.dead_letter_limit, checked.result_limit, job.again, checked.shared_groups)


if __name__ == "__main__":
    sys.exit(main())
