"""Shows the checkpoints and savepoints from which a job can go on."""

from __future__ import annotations

from datetime import datetime

from model_serving.client.errors import ClientError
from model_serving.client.printable import printable
from model_serving.runtime.checkpoints import RetainedCheckpoint, retained_checkpoints

__all__ = ["print_checkpoints", "print_last_checkpoint"]


def print_checkpoints(folder: str) -> None:
    """One line for each that is complete below ``folder``, the newest first: when, which job's, its path.

    Raises:
        ClientError: there is none, or the folder cannot be read.
    """
    for one in _found(folder):
        when = datetime.fromtimestamp(one.written_s).astimezone().isoformat(" ", "seconds")
        what = "savepoint" if one.job is None else f"checkpoint {one.number} of job {one.job}"
        print(printable(f"{when}  {what}  {one.path}"))


def print_last_checkpoint(folder: str) -> None:
    """The path of the newest, alone: what ``flink run -s`` takes. Raises ClientError like the others."""
    print(_found(folder)[0].path)


def _found(folder: str) -> list[RetainedCheckpoint]:
    try:
        found = retained_checkpoints(folder)
    except (OSError, ImportError, ValueError) as error:
        raise ClientError(f"{folder} cannot be read ({error}): name the job's --checkpoint-dir") from error
    if not found:
        raise ClientError(
            f"no checkpoint was ever completed below {folder}: name the job's --checkpoint-dir, "
            "or start the job anew (--starting-offsets earliest reads the models again)"
        )
    return found
