"""Shows the checkpoints and savepoints that a job can be restored from."""

from __future__ import annotations

from datetime import datetime

from model_serving.client.errors import ClientError
from model_serving.client.printable import printable
from model_serving.runtime.checkpoints import RetainedCheckpoint, retained_checkpoints

__all__ = ["print_checkpoints", "print_last_checkpoint"]


def print_checkpoints(folder: str) -> None:
    """Prints a line for each complete one below ``folder``, the newest first: its time, its job, its path.

    Raises:
        ClientError: there is no complete one, or the folder cannot be read.
    """
    for one in _found(folder):
        when = datetime.fromtimestamp(one.written_s).astimezone().isoformat(" ", "seconds")
        what = "savepoint" if one.job is None else f"checkpoint {one.number} of job {one.job}"
        print(printable(f"{when}  {what}  {one.path}"))


def print_last_checkpoint(folder: str) -> None:
    """Prints only the path of the newest one, which ``flink run -s`` takes.

    Raises:
        ClientError: there is no complete one, or the folder cannot be read.
    """
    print(_found(folder)[0].path)


def _found(folder: str) -> list[RetainedCheckpoint]:
    try:
        found = retained_checkpoints(folder)
    except (OSError, ImportError, ValueError) as error:
        raise ClientError(f"{folder} cannot be read ({error}): name the job's --checkpoint-dir") from error
    if not found:
        raise ClientError(
            f"no checkpoint was ever completed below {folder}: name the job's --checkpoint-dir, "
            "or start the job without one (--starting-offsets earliest reads the models again)"
        )
    return found
