"""``spark-submit`` as `make install-spark` puts it into the environment's ``bin``.

pyspark's own starts a JVM, which starts the job's Python process as its child and ends it with no warning.
For this project's jobs this one starts the Python process, which starts the JVM with the same options: so
SIGTERM reaches the job, which ends after the running batch. Everything else, also a job whose driver is to
run on a cluster, is left to pyspark's.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from model_serving.runtime.environment import project_root
from model_serving.runtime.errors import SetupError
from model_serving.spark.environment import SUBMIT_ARGS, pyspark_home, spark_environment, submit_words

__all__ = ["SubmitCall", "main", "read_call"]

_WITHOUT_VALUE = {"--help", "-h", "--supervise", "--usage-error", "--verbose", "-v", "--version"}
_OURS = ("keyed.py", "broadcast.py")


@dataclass(frozen=True, slots=True)
class SubmitCall:
    """A call of spark-submit: its options, a word each, the script and the script's flags.

    ``script`` is empty if there is none.
    """

    options: tuple[str, ...]
    script: str
    arguments: tuple[str, ...]

    @property
    def is_for_cluster(self) -> bool:
        """Whether the driver is to run on the cluster."""
        pairs = list(pairwise(self.options))
        return ("--deploy-mode", "cluster") in pairs or any(
            value == "spark.submit.deployMode=cluster" for _, value in pairs
        )

    def is_job_of(self, project: Path) -> bool:
        """Whether the script is one of the jobs of this project."""
        path = Path(self.script)
        return path.name in _OURS and path.resolve().parent == (project / "spark_jobs").resolve()


def read_call(argv: Sequence[str]) -> SubmitCall:
    """Takes a command line apart as spark-submit does.

    The first word that belongs to no option is the script.
    """
    options: list[str] = []
    words = iter(argv)
    for word in words:
        if not word.startswith("-"):
            return SubmitCall(tuple(options), word, tuple(words))
        name, is_assigned, value = word.partition("=")
        options.append(name)
        if is_assigned:
            options.append(value)
        elif name not in _WITHOUT_VALUE:
            options += [next(words, "")]
    return SubmitCall(tuple(options), "", ())


def main(argv: Sequence[str]) -> int:
    """Becomes the job's process, or pyspark's spark-submit.

    Returns:
        The exit status 1, with one line on standard error, if neither can be started.
    """
    call = read_call(argv)
    try:
        if call.is_job_of(project_root()) and not call.is_for_cluster:
            words = [*submit_words(os.environ.get(SUBMIT_ARGS, "")), *call.options, "pyspark-shell"]
            _become(
                [sys.executable, call.script, *call.arguments],
                {
                    **os.environ,
                    SUBMIT_ARGS: shlex.join(words),
                    "PYTHONPATH": os.pathsep.join(
                        filter(None, [str(project_root()), os.environ.get("PYTHONPATH", "")])
                    ),
                },
            )
        environment = spark_environment(os.environ, address=os.environ.get("SPARK_LOCAL_IP", ""))
    except SetupError as failure:
        print(f"spark-submit: {failure}", file=sys.stderr)
        return 1
    for name in {SUBMIT_ARGS, "SPARK_LOCAL_IP"} - os.environ.keys():
        environment.pop(name, None)
    return _become([str(pyspark_home() / "bin" / "spark-submit"), *argv], environment)


def _become(command: Sequence[str], environment: dict[str, str]) -> int:
    sys.stdout.flush()
    try:
        os.execve(command[0], list(command), environment)  # noqa: S606 - the words of the user's call
    except OSError as error:
        raise SetupError(
            f"{command[0]} cannot be started ({error.strerror}); run `make install-spark`"
        ) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
