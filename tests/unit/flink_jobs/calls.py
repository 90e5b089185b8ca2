"""Calls of a job's script with flags."""

from __future__ import annotations

from dataclasses import fields

import pytest

from flink_jobs.config import JobConfig, parse_config

__all__ = ["ATTRIBUTES", "attribute", "parse", "refused", "variable"]

_FILLED_IN = {"base_dir", "host", "run", "claims_stored", "dead_letter_limit", "result_limit"}
"""Values that do not come from flags."""

ATTRIBUTES = frozenset(field.name for field in fields(JobConfig)) - _FILLED_IN
"""The attributes of the configuration that come from flags."""


def attribute(flag: str) -> str:
    """The attribute of the configuration for a flag."""
    return flag.removeprefix("--").replace("-", "_")


def variable(flag: str) -> str:
    """The environment variable for a flag."""
    return "MODEL_SERVING_" + attribute(flag).upper()


def parse(*argv: str, **environ: str) -> JobConfig:
    """The configuration from flags and variables."""
    return parse_config(argv, environ, "job.py")


def refused(capsys: pytest.CaptureFixture[str], *argv: str, **environ: str) -> str:
    """The line that a wrong call prints; its exit status must be 2."""
    with pytest.raises(SystemExit) as stopped:
        parse(*argv, **environ)
    said = capsys.readouterr()
    assert (stopped.value.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    return line.removeprefix("job.py: ")
