"""Keys fall where the job expects them as this Flink hashes: partitions evenly, data types by their state."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from flink_jobs.lanes import LANE_KEYS
from functions.placement import key_group
from model_serving.runtime.environment import flink_environment
from tests.patience import patience

pytestmark = pytest.mark.minicluster

KEY_GROUPS = 128


def flinks_key_groups(values: Sequence[int | str]) -> list[int]:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("key_groups.py")), json.dumps(values)],
        env=flink_environment(os.environ),
        capture_output=True,
        text=True,
        timeout=patience(60),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    groups: list[int] = json.loads(done.stdout.splitlines()[-1])
    return groups


LETTERS = random.Random(7)
TEXTS = ["".join(LETTERS.choices("abz Z-09\u00e9\u4e2d\U0001f600", k=length)) for length in range(100)]


@pytest.fixture(scope="module")
def found() -> list[int]:
    """Returns the key groups of all that these tests ask for, from one process of Java."""
    return flinks_key_groups([*TEXTS, *LANE_KEYS])


@pytest.fixture
def key_groups(found: list[int]) -> list[int]:
    return found[len(TEXTS) :]


def test_data_types_are_placed_as_flink_places_them(found: list[int]) -> None:
    assert [key_group(text, KEY_GROUPS) for text in TEXTS] == found[: len(TEXTS)]


def test_each_lane_has_a_key_group_of_its_own(key_groups: list[int]) -> None:
    assert key_groups == [int(f"{lane:07b}"[::-1], 2) for lane in range(KEY_GROUPS)]


@pytest.mark.parametrize("partitions", [2, 3, 4, 8, 12, 50, 128])
@pytest.mark.parametrize("parallelism", [1, 2, 3, 4, 7, 8])
def test_no_instance_has_many_more_partitions_than_another(
    key_groups: list[int], partitions: int, parallelism: int
) -> None:
    shares = Counter(group * parallelism // KEY_GROUPS for group in key_groups[:partitions])
    of_each = [shares[instance] for instance in range(parallelism)]
    assert max(of_each) <= -(-partitions // parallelism) + 1, of_each
    if partitions >= 2 * parallelism:
        assert min(of_each) >= 1, of_each
