"""A local job in thread mode, the default, has taken in nothing that only workers or clusters need."""

from __future__ import annotations

import sys

import psutil
import pytest

from tests.job_traffic import Traffic

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


def _processes(job: Traffic) -> dict[str, list[psutil.Process]]:
    """The job's processes by their programs, such as java."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        # The topic is in the job's flags, which all its processes have been given.
        if job.topics.data in command:
            found.setdefault(command[0].rpartition("/")[2], []).append(process)
    return found


def test_the_job_has_no_copy_of_a_jar_on_the_class_path(job: Traffic) -> None:
    if job.variant == "server":
        pytest.skip("the server has no Flink")
    (java,) = _processes(job)["java"]
    jars = {file.path for file in java.open_files()}
    assert any("/flink-python-" in path for path in jars)
    assert [path for path in jars if "/blob_p-" in path] == []
