"""Finds out when others read in a job's consumer groups, because Flink tells it only in its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.groups import request_for

__all__ = ["GroupWatch", "foreign_members"]

_START_AGAIN_S = 60.0
"""How long to wait for a new process after one has ended."""


def foreign_members(group: str, clients: Sequence[str]) -> str:
    """The line for the user about a consumer group that others read in; ``clients`` are their client ids."""
    return (
        f"others read in the consumer group '{group}' ({', '.join(clients)}): Kafka does not take the job's "
        "offsets as long as they do, and a start without a checkpoint would read records again; end them, or "
        "give the job a group of its own (--models-group, --data-group)"
    )


class GroupWatch:
    """Has a process ask Kafka every 10 seconds who is in the groups; tells once when others read in a group.

    It tells again if they have left and others come. The job itself is never a member, because it assigns
    partitions by itself. The process is apart because the Kafka client may end it: see
    ``model_serving.messaging.groups``. It ends with its input, so it never outlives the job's program.
    """

    def __init__(self, kafka: KafkaAccess, groups: Collection[str], *, told: Collection[str] = ()) -> None:
        """``told`` are the groups that the user has already been told about."""
        self._request = request_for(kafka, groups)
        self._process: subprocess.Popen[bytes] | None = None
        self._next_s = 0.0
        self._unread = b""
        self._told = set(told)

    def news(self) -> Iterator[str]:
        """Lines about groups that others have joined since the last call; never waits."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
            self._next_s = time.monotonic() + _START_AGAIN_S
        if self._process is None:
            if time.monotonic() >= self._next_s:
                self._process = self._started()
            return
        for answer in self._answers(self._process):
            for group in answer.keys() - self._told:
                yield foreign_members(group, answer[group])
            self._told = set(answer)

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "model_serving.messaging.groups"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C in a terminal is for the job
        )
        if process.stdin is None or process.stdout is None:
            raise TypeError("the process was started without its pipes")
        self._unread = b""
        os.set_blocking(process.stdout.fileno(), False)
        with suppress(OSError):
            process.stdin.write(self._request.encode())
            process.stdin.flush()
        return process

    def _answers(self, process: subprocess.Popen[bytes]) -> Iterator[dict[str, list[str]]]:
        if process.stdout is None:
            return
        with suppress(BlockingIOError):
            while part := os.read(process.stdout.fileno(), 65536):
                self._unread += part
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            yield json.loads(line)
