"""The handover from the flink command to the job's script, and the command that goes on from a savepoint."""

from __future__ import annotations

import shlex

from flink_jobs.handover import VARIABLE, Handover

HANDOVER = Handover(
    1_000_000, 2_000_000, ("-py", "my jobs/keyed.py", "--no-model", "drop"), ("modelRecordsGroup",)
)


def test_the_script_reads_what_the_command_wrote() -> None:
    assert Handover.read({VARIABLE: HANDOVER.text()}) == HANDOVER
    assert Handover.read({}) is None


def test_the_command_to_go_on_can_be_pasted() -> None:
    command = HANDOVER.way_on("file:/chk tr 'ü'/savepoint-1")
    assert shlex.split(command) == [
        *("flink", "run", "-s", "file:/chk tr 'ü'/savepoint-1"),
        *("-py", "my jobs/keyed.py", "--no-model", "drop"),
    ]


def test_the_command_to_go_on_shows_no_credentials() -> None:
    called = Handover(1, 1, ("-py", "keyed.py", "--model-store=s3://key:secret@bucket/models"))
    assert called.way_on("/s") == "flink run -s /s -py keyed.py --model-store=s3://bucket/models"
