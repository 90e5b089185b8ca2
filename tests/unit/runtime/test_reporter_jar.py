"""The Prometheus reporter that can be told where to listen. It is Java, so these tests need a JDK."""

from __future__ import annotations

import shutil
import socket
import subprocess
import zipfile
from pathlib import Path

import pytest

from model_serving.runtime.flink_home import REPORTER_JAR, REPORTER_PLUGIN, installed_distribution
from model_serving.runtime.reporter_jar import compile_reporter, write_jar

JAR = Path(str(REPORTER_JAR))

pytestmark = pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK (javac)")

# Opens a reporter, as Flink does when a process starts, and fetches its page from two addresses.
PROGRAM = """
import java.net.*;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.reporter.*;

public class Report {
    public static void main(String[] words) throws Exception {
        MetricReporterFactory factory = null;
        for (MetricReporterFactory one : java.util.ServiceLoader.load(MetricReporterFactory.class)) {
            if (one.getClass().getSimpleName().equals("PrometheusHostReporterFactory")) factory = one;
        }
        MetricConfig config = new MetricConfig();
        config.setProperty("port", words[0]);
        if (words.length > 2) config.setProperty("host", words[2]);
        MetricReporter reporter = factory.createMetricReporter(config);
        reporter.open(config);
        for (String host : new String[] {"127.0.0.1", "127.0.0.2"}) {
            try {
                URL page = URI.create("http://" + host + ":" + words[1] + "/metrics").toURL();
                System.out.println(((HttpURLConnection) page.openConnection()).getResponseCode());
            } catch (ConnectException refused) {
                System.out.println("refused");
            }
        }
        reporter.close();
        System.out.println("closed");
    }
}
"""


def run(tmp_path: Path, *words: str) -> list[str]:
    distribution = installed_distribution()
    (tmp_path / "Report.java").write_text(PROGRAM, encoding="utf-8")
    jars = [
        *(distribution / "lib").glob("*.jar"),
        *(distribution / "plugins" / REPORTER_PLUGIN).glob("*.jar"),
    ]
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", ":".join(map(str, [*jars, JAR])), "Report.java", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_jar_is_what_the_source_says(tmp_path: Path) -> None:
    write_jar(compile_reporter(installed_distribution(), tmp_path), tmp_path / "made.jar")
    made, kept = zipfile.ZipFile(tmp_path / "made.jar"), zipfile.ZipFile(JAR)
    assert made.namelist() == kept.namelist(), "run make reporter"
    version = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=True).stdout
    if " 17." not in version:
        pytest.skip(f"the classes were compiled by javac 17; this is {version.strip()}")
    assert [made.read(name) for name in made.namelist()] == [kept.read(name) for name in kept.namelist()], (
        "run make reporter"
    )


def test_it_takes_the_first_free_port_and_is_seen_from_this_machine_only(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        # No other program is told to take the port after it, so it is nearly always free.
        ports = f"{first}-{first + 1}"
        assert run(tmp_path, ports, str(first + 1)) == ["200", "refused", "closed"]


def test_it_listens_on_every_address_when_it_is_told_to(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    assert run(tmp_path, port, port, "0.0.0.0") == ["200", "200", "closed"]


@pytest.mark.parametrize("host", ["localhost", "nowhere.invalid"])
def test_without_a_port_or_an_address_the_process_runs_without_it(tmp_path: Path, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        other = str(free.getsockname()[1])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(tmp_path, port, other, host) == ["refused", "refused", "closed"]
