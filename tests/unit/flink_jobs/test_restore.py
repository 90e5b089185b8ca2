"""Whether a job can go on from a savepoint, judged by the savepoint's operators."""

from __future__ import annotations

import pytest

from flink_jobs.restore import named_with_schema, refusal
from model_serving.core.state import SCHEMA_VERSION

PATH = "file:/saved"
KEYED = {"serve-keyed": "serve", "confirm-swaps": "confirm swaps"}
BROADCAST = {
    "serve-broadcast": "serve",
    "confirm-swaps": "confirm swaps",
    "wait-for-model": "wait for a model",
}


def test_the_name_of_an_operator_tells_the_schema_version() -> None:
    assert named_with_schema("confirm swaps") == f"confirm swaps (state schema {SCHEMA_VERSION})"


@pytest.mark.parametrize("accept_others", [False, True])
@pytest.mark.parametrize(
    "name", ["confirm swaps", *(f"x (state schema {n})" for n in range(SCHEMA_VERSION + 1))]
)
@pytest.mark.parametrize(
    ("program", "operators"), [("keyed.py", KEYED), ("broadcast.py", BROADCAST)], ids=["keyed", "broadcast"]
)
def test_a_job_goes_on_from_its_own_savepoint_of_this_or_an_older_schema(
    program: str, operators: dict[str, str], name: str, accept_others: bool
) -> None:
    written = operators | {"confirm-swaps": name}
    assert refusal(program, PATH, written, accept_others=accept_others) == ""


@pytest.mark.parametrize("accept_others", [False, True])
def test_a_newer_schema_is_refused_whatever_else_is_accepted(accept_others: bool) -> None:
    newer = SCHEMA_VERSION + 1
    operators = KEYED | {"confirm-swaps": f"confirm swaps (state schema {newer})"}
    assert refusal("keyed.py", PATH, operators, accept_others=accept_others) == (
        f"file:/saved holds state of schema version {newer}, this software reads up to {SCHEMA_VERSION}: "
        "restore it with the version that wrote it, or a later one"
    )


@pytest.mark.parametrize(
    ("program", "operators", "other"),
    [("keyed.py", BROADCAST, "broadcast.py"), ("broadcast.py", KEYED, "keyed.py")],
)
def test_the_other_jobs_savepoint_is_refused_unless_asked_for(
    program: str, operators: dict[str, str], other: str
) -> None:
    assert refusal(program, PATH, operators, accept_others=False) == (
        "file:/saved was made by the other job, which keeps its models in another way: "
        f"restore it with flink run -s file:/saved -py flink_jobs/{other}"
    )
    assert refusal(program, PATH, operators, accept_others=True) == ""


def test_an_unknown_jobs_savepoint_is_refused_unless_asked_for() -> None:
    assert refusal("keyed.py", PATH, {"": "map"}, accept_others=False) == (
        "file:/saved was not made by keyed.py: restore it with the program that made it"
    )
    assert refusal("keyed.py", PATH, {}, accept_others=True) == ""
