from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from model_serving.runtime.errors import FlinkHomeError
from model_serving.runtime.flink_home import FlinkHome, assemble, derive_conf, installed_distribution

PYTHON = Path("/venv/bin/python")


@pytest.fixture
def distribution(tmp_path: Path) -> Path:
    """Returns a small pip package with the same layout and empty jars."""
    root = tmp_path / "pyflink"
    for name in (
        "bin/flink",
        "lib/flink-dist-2.2.1.jar",
        "opt/flink-python-2.2.1.jar",
        "plugins/README.txt",
        "plugins/metrics-prometheus/flink-metrics-prometheus-2.2.1.jar",
        "conf/workers",
        "conf/log4j-cli.properties",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "bin" / "config.sh").write_text("#!/bin/sh\necho original\n", encoding="utf-8")
    (root / "bin" / "bash-java-utils.sh").write_text('"${JAVA_RUN}" -classpath "x"\n', encoding="utf-8")
    (root / "conf" / "config.yaml").write_text(
        "env:\n  java:\n    opts:\n"
        "      all: --add-opens=java.base/java.io=ALL --add-exports=jdk.compiler/x=ALL\n",
        encoding="utf-8",
    )
    return root


@pytest.fixture
def connector(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / "connector.jar"
    path.parent.mkdir()
    path.write_text("connector", encoding="utf-8")
    return path


@pytest.fixture
def home(tmp_path: Path) -> FlinkHome:
    return FlinkHome(tmp_path / "venv" / "flink")


def test_the_home_holds_the_distribution_and_the_connector(
    home: FlinkHome, distribution: Path, connector: Path
) -> None:
    assert assemble(home, distribution, [connector], PYTHON)
    files = {
        str(path.relative_to(home.path)): str(path.readlink().relative_to(distribution))
        if path.is_symlink()
        else ""
        for path in home.path.rglob("*")
        if not path.is_dir()
    }
    assert files == {
        ".stamp": "",
        "bin/bash-java-utils.sh": "",
        "bin/config.sh": "",
        "bin/flink": "",
        "conf/config.yaml": "",
        "conf/log4j-cli.properties": "",
        "conf/logging.properties": "",
        "conf/workers": "",
        "lib/connector.jar": "",
        "lib/flink-dist-2.2.1.jar": "lib/flink-dist-2.2.1.jar",
        "lib/flink-python-2.2.1.jar": "opt/flink-python-2.2.1.jar",
        "opt/flink-python-2.2.1.jar": "opt/flink-python-2.2.1.jar",
        "lib/prometheus-host-reporter.jar": "",
        "plugins/README.txt": "plugins/README.txt",
        "lib/flink-metrics-prometheus-2.2.1.jar": (
            "plugins/metrics-prometheus/flink-metrics-prometheus-2.2.1.jar"
        ),
    }
    assert [path.name for path in home.path.parent.iterdir()] == ["flink"]


def test_java_that_only_reads_the_configuration_starts_quickly(
    home: FlinkHome, distribution: Path, connector: Path
) -> None:
    assemble(home, distribution, [connector], PYTHON)
    read = (home.path / "bin" / "bash-java-utils.sh").read_text(encoding="utf-8")
    assert read == '"${JAVA_RUN}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -classpath "x"\n'
    own = installed_distribution() / "bin" / "bash-java-utils.sh"
    assert own.read_text(encoding="utf-8").count('"${JAVA_RUN}" -classpath') == 1, "another Flink"


def test_java_reads_a_configuration_once(
    home: FlinkHome, distribution: Path, connector: Path, tmp_path: Path
) -> None:
    own = (installed_distribution() / "bin" / "config.sh").read_text(encoding="utf-8")
    (read,) = [line for line in own.splitlines() if "updateAndGetFlinkConfiguration " in line]
    (distribution / "bin" / "config.sh").write_text(f"#!/bin/sh\n{read}\n", encoding="utf-8")
    assemble(home, distribution, [connector], PYTHON)
    asked = tmp_path / "asked"
    says = f'echo "a: 1"; cat "$FLINK_CONF_DIR/config.yaml"; echo >> {asked}'
    java = f"updateAndGetFlinkConfiguration() {{ {says}; }}"

    def run(*, answers: bool = True) -> str:
        function = java if answers else "updateAndGetFlinkConfiguration() { :; }"
        return subprocess.run(
            ["bash", "-c", f'{function}; . {home.path}/bin/config.sh; echo "$YAML_CONF"'],
            env={"MODEL_SERVING_ENVIRONMENT": str(home.path), "FLINK_CONF_DIR": str(home.conf)},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    def times() -> int:
        return len(asked.read_text(encoding="utf-8"))

    config = home.conf / "config.yaml"
    first = run()
    assert first == "a: 1\n" + config.read_text(encoding="utf-8")
    assert (run(), times()) == (first, 1)
    config.write_text("another: text\n", encoding="utf-8")
    assert (run(), run(), times()) == ("a: 1\nanother: text\n", "a: 1\nanother: text\n", 2)
    # Flink's function says nothing, with status 0, when Java has failed.
    config.write_text("a third: text\n", encoding="utf-8")
    assert run(answers=False) == "\n"
    assert run() == "a: 1\na third: text\n"
    # What cannot be kept is asked again.
    (home.conf / ".config.flat").unlink()
    (home.conf / ".config.flat").mkdir()
    assert run() == "a: 1\na third: text\n"


def test_the_configuration_is_this_projects(home: FlinkHome, distribution: Path, connector: Path) -> None:
    assemble(home, distribution, [connector], PYTHON)
    text = (home.conf / "config.yaml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    assert settings["python"] == {"executable": "/venv/bin/python", "client.executable": "/venv/bin/python"}
    assert settings["classloader"]["parent-first-patterns"]["additional"] == "pemja"
    assert settings["env"]["java"]["opts"]["all"] == (
        "--add-opens=java.base/java.io=ALL "
        f"-Djava.util.logging.config.file={home.path}/conf/logging.properties "
        "-XX:+UseParallelGC -XX:FreqInlineSize=160 -XX:InlineSmallCode=1200 -XX:MaxInlineLevel=9 "
        f"-XX:SharedArchiveFile={home.path}.jsa "
        "-Duser.language=en -Duser.country=US -Duser.language.format=en -Duser.country.format=US "
        "-Duser.language.display=en -Duser.country.display=US"
    )
    assert "target" not in settings.get("execution", {})


def test_assembling_again_does_nothing(home: FlinkHome, distribution: Path, connector: Path) -> None:
    assemble(home, distribution, [connector], PYTHON)
    before = home.path.stat().st_ino
    assert not assemble(home, distribution, [connector], PYTHON)
    assert home.path.stat().st_ino == before


def test_a_changed_input_assembles_anew_and_keeps_the_logs(
    home: FlinkHome, distribution: Path, connector: Path
) -> None:
    assemble(home, distribution, [connector], PYTHON)
    (home.path / "log" / "job.log").write_text("kept", encoding="utf-8")
    (home.path / "lib" / "stale.jar").touch()
    assert assemble(home, distribution, [connector], Path("/other/python"))
    assert (home.path / "log" / "job.log").read_text(encoding="utf-8") == "kept"
    assert not (home.path / "lib" / "stale.jar").exists()
    assert [path.name for path in home.path.parent.iterdir()] == ["flink"]


@pytest.mark.parametrize(
    "damage", ["lib/flink-dist-2.2.1.jar", "lib/connector.jar", "conf/config.yaml", "bin/flink"]
)
def test_a_damaged_home_is_assembled_anew(
    damage: str, home: FlinkHome, distribution: Path, connector: Path
) -> None:
    assemble(home, distribution, [connector], PYTHON)
    (home.path / damage).unlink()
    assert assemble(home, distribution, [connector], PYTHON)
    assert (home.path / damage).exists()


def test_a_failed_assembly_leaves_the_old_home_whole(
    home: FlinkHome, distribution: Path, connector: Path
) -> None:
    assemble(home, distribution, [connector], PYTHON)
    connector.unlink()
    with pytest.raises(FlinkHomeError) as caught:
        assemble(home, distribution, [connector], Path("/other/python"))
    assert str(caught.value).startswith(f"{home.path} cannot be assembled (")
    assert str(caught.value).endswith("; fix this and run `make install` again")
    assert "/venv/bin/python" in (home.conf / "config.yaml").read_text(encoding="utf-8")
    assert [path.name for path in home.path.parent.iterdir()] == ["flink"]


def test_flinks_scripts_learn_the_environment_from_the_project(
    home: FlinkHome, distribution: Path, connector: Path, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"export ASKED='$*'\"\n", encoding="utf-8")
    python.chmod(0o755)
    assemble(home, distribution, [connector], python)
    shell = f". {home.path}/bin/config.sh; echo $ASKED"

    def run(mark: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", shell],
            env={"MODEL_SERVING_ENVIRONMENT": mark},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    assert run("") == ["original", "-m model_serving.runtime.environment"]
    assert run("/another/clone/flink") == ["original", "-m model_serving.runtime.environment"]
    assert run(str(home.path)) == ["original", ""]


def test_a_second_clusters_configuration_differs_where_it_is_told(
    home: FlinkHome, distribution: Path, connector: Path, tmp_path: Path
) -> None:
    assemble(home, distribution, [connector], PYTHON)
    derive_conf(home, tmp_path / "conf", {"rest.port": 18081, "taskmanager.numberOfTaskSlots": 2})
    derived = yaml.safe_load((tmp_path / "conf" / "config.yaml").read_text(encoding="utf-8"))
    own = yaml.safe_load((home.conf / "config.yaml").read_text(encoding="utf-8"))
    assert derived["rest.port"] == 18081
    assert derived["taskmanager.numberOfTaskSlots"] == 2
    assert derived["taskmanager.memory.process.size"] == own["taskmanager"]["memory"]["process"]["size"]
    assert (tmp_path / "conf" / "workers").is_file()
