"""Reading the kernel's counters, and naming what they belong to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.processor_time import Meter, Thread, parse_stat, process_label
from bench.profile import group_of, grouped

TICKS = os.sysconf("SC_CLK_TCK")


def test_a_name_with_brackets_and_spaces_is_read_whole() -> None:
    line = f"12 (a (1/1)#0 x) S 1 2 3 4 5 6 7 8 9 10 {3 * TICKS} {TICKS // 2} 0 0"
    assert parse_stat(line) == ("a (1/1)#0 x", 3.0, 0.5)


@pytest.mark.parametrize(
    ("command", "label"),
    [
        (["/x/bin/java", "-Xmx1g", "-cp", "a:b", "kafka.Kafka", "server.properties"], "java Kafka"),
        (["java", "-jar", "/x/tool.jar", "word"], "java tool.jar"),
        (["/x/python3.11", "-u", "/y/keyed.py", "--flag"], "python keyed.py"),
        (["python", "-m", "bench.load", "--rate", "1"], "python -m bench.load"),
        (["python", "-c", "pass"], "python"),
        (["/bin/sleep", "1"], "sleep"),
        ([], "kernel"),
    ],
)
def test_a_process_is_called_after_its_program(command: list[str], label: str) -> None:
    assert process_label(command, "kernel") == label


@pytest.mark.parametrize(
    ("label", "thread", "group"),
    [
        ("java CliFrontend", "C2 CompilerThread0", "compilers (JIT)"),
        ("java CliFrontend", "G1 Conc#0", "garbage collector"),
        ("java CliFrontend", "serve -> results: Writer (1/1)#0", "serve -> results: Writer (n/n)#n"),
        ("java Kafka", "data-plane-kafka-request-handler-3", "Kafka broker: requests"),
        ("python keyed.py", "Thread-3", "Thread-3"),
    ],
)
def test_threads_of_one_purpose_go_together(label: str, thread: str, group: str) -> None:
    assert group_of(label, thread) == group


def test_groups_are_sums_in_descending_order() -> None:
    threads = [
        Thread(7, 1, "main", 1.0, 0.5),
        Thread(7, 2, "C1 CompilerThread0", 1.0, 0.0),
        Thread(7, 3, "C2 CompilerThread0", 2.0, 1.0),
    ]
    assert grouped(threads, {7: "java X"}) == {
        ("java X [7]", "compilers (JIT)"): Thread(7, 2, "compilers (JIT)", 3.0, 1.0),
        ("java X [7]", "main"): Thread(7, 1, "main", 1.0, 0.5),
    }


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_busy_process_is_measured_from_the_first_sample() -> None:
    busy = "import time; print(1, flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            meter = Meter([child.pid])
            assert meter.sample()
            assert sum(thread.total_s for thread in meter.threads.values()) == 0
            while sum(thread.total_s for thread in meter.threads.values()) < 0.05:
                assert meter.sample()
        finally:
            child.kill()
    assert list(meter.labels.values()) == ["python"]
    assert not meter.sample()
