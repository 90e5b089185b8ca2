"""State is found again by an operator's uid: each has one, and none may ever change.

An operator that is renamed or added without a uid loses what savepoints hold for it, or makes Flink refuse
them. Names below may be added to; when one has to go, savepoints made before cannot be restored any more.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from model_serving.runtime.environment import flink_environment
from tests.patience import patience

pytestmark = pytest.mark.minicluster

SCRIPT = Path(__file__).with_name("print_operators.py")
FLAGS = ("--parallelism 1", "--parallelism 3 --delivery exactly-once --execution-mode process")

BOTH = {
    *("models", "1_source", "2_calc", "4_window-aggregate", "5_calc", "6_external-datastream"),
    *("route-models", "route-models-dead-letters", "route-models-statuses"),
    *("admit-models", "admit-models-activations", "admit-models-dead-letters"),
    *("serve-dead-letters", "serve-rollbacks", "serve-swaps"),
    *("confirm-swaps", "results", "dead letters", "statuses", "rollbacks"),
    *("Sink Committer: results", "Sink Committer: dead letters"),
    *("Sink Committer: statuses", "Sink Committer: rollbacks"),
}
UIDS = {
    # Where nothing but the fetching of its key follows a side output, PyFlink makes one operator of both.
    "keyed": BOTH | {"route-records", "route-records-dead-letters", "serve-keyed"},
    "broadcast": BOTH
    | {
        *("serve-broadcast", "serve-unmatched", "activations-by-data-type", "swaps-by-data-type"),
        *("wait-for-model", "wait-for-a-model-dead-letters"),
        *("wait-for-a-model-rollbacks", "wait-for-a-model-swaps"),
    },
}


@pytest.mark.parametrize("variant", sorted(UIDS))
def test_every_operator_has_the_uid_it_always_had(variant: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), variant, *FLAGS, "--bounded"],
        env=flink_environment(os.environ),
        capture_output=True,
        text=True,
        timeout=patience(150),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    *found, bounded = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(FLAGS)
    for turn, operators in enumerate(found):
        uids = [uid for uid, _ in operators]
        assert None not in uids, uids
        assert _bundles_of_one(operators) == {"admit-models"}
        assert sorted(_as_in_a_process_of_its_own(uids, turn)) == sorted(UIDS[variant]), FLAGS[turn]
    # No savepoint is made of a bounded run, whose uids are SQL's own.
    assert _bundles_of_one(bounded) == {"admit-models", "serve-keyed", "wait-for-model"} & UIDS[variant]


def _bundles_of_one(operators: list[tuple[str, str]]) -> set[str]:
    """The operators whose timers are in each checkpoint that has what they were registered for."""
    return {uid for uid, bundle_size in operators if bundle_size == "1"}


def _as_in_a_process_of_its_own(uids: list[str], turn: int) -> list[str]:
    """SQL's operators are numbered through in a process, which starts no more than one job; here several."""
    sql = sum(uid[0].isdigit() for uid in uids) + 1  # one number is for an exchange, which is no operator
    return [re.sub(r"^\d+", lambda number: str(int(number[0]) - turn * sql), uid) for uid in uids]
