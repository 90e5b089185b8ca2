"""A local job in thread mode, the default, has taken in nothing that only workers or clusters need."""

from __future__ import annotations

import sys

import psutil
import pytest

from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from tests.job_models import constant_pmml
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


def _mapped(process: psutil.Process) -> set[str]:
    return {region.path for region in process.memory_maps()}


def test_no_process_has_loaded_beam(job: Traffic) -> None:
    if job.variant == "server":
        pytest.skip("the server has no Flink")
    # A job that serves has imported all that its functions need.
    job.serve(ModelDescriptor(name="m", dataType="lean", modeltype="PMML", data=constant_pmml(1)))
    processes = _processes(job)
    (java,) = processes.pop("java")
    libraries = _mapped(java)
    assert any("pemja" in path for path in libraries), "Python runs in the JVM"
    scripts = [process for of_program in processes.values() for process in of_program]
    assert len(scripts) == 2, "the flink command and the job's script"
    for process in scripts:
        libraries |= _mapped(process)
    assert [path for path in libraries if "/apache_beam/" in path] == []


def test_the_job_has_no_copy_of_a_jar_on_the_class_path(job: Traffic) -> None:
    if job.variant == "server":
        pytest.skip("the server has no Flink")
    (java,) = _processes(job)["java"]
    jars = {file.path for file in java.open_files()}
    assert any("/flink-python-" in path for path in jars)
    assert [path for path in jars if "/blob_p-" in path] == []
