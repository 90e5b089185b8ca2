from __future__ import annotations

import shlex
import sys
import sysconfig
from pathlib import Path

import pytest

from model_serving.runtime import environment
from model_serving.runtime.environment import flink_environment, project_root
from model_serving.runtime.errors import FlinkHomeError
from model_serving.runtime.flink_home import FlinkHome
from model_serving.runtime.java import JavaHome

JAVA = JavaHome(Path("/java"), "JAVA_HOME")
PACKAGES = sysconfig.get_path("purelib")


@pytest.fixture
def home(tmp_path: Path) -> FlinkHome:
    made = FlinkHome(tmp_path / "flink")
    made.path.mkdir()
    (made.path / ".stamp").touch()
    return made


def test_flink_finds_java_home_configuration_and_packages(home: FlinkHome) -> None:
    made = flink_environment({"PATH": "/usr/bin", "HOME": "/home/me"}, home=home, java=lambda _: JAVA)
    assert made == {
        "HOME": "/home/me",
        "PATH": f"{sys.prefix}/bin:/java/bin:/usr/bin",
        "JAVA_HOME": "/java",
        "FLINK_HOME": str(home.path),
        "FLINK_CONF_DIR": str(home.path / "conf"),
        "PYTHONPATH": f"{project_root()}:{PACKAGES}",
        "PYTHONUNBUFFERED": "1",
        "LC_ALL": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "MODEL_SERVING_ENVIRONMENT": str(home.path),
    }


def test_file_names_are_spelled_the_same_whatever_the_users_locale(
    home: FlinkHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = {"LC_ALL": "tr_TR.ISO-8859-9"}
    assert flink_environment(base, home=home, java=lambda _: JAVA)["LC_ALL"] == "C.UTF-8"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert flink_environment(base, home=home, java=lambda _: JAVA)["LC_ALL"] == "tr_TR.ISO-8859-9"


def test_another_flinks_folders_are_left_behind(home: FlinkHome) -> None:
    foreign = {
        "FLINK_HOME": "/opt/flink",
        "FLINK_CONF_DIR": "/opt/flink/conf",
        "FLINK_LIB_DIR": "/opt/flink/lib",
        "FLINK_OPT_DIR": "/opt/flink/opt",
        "FLINK_PLUGINS_DIR": "/opt/flink/plugins",
    }
    made = flink_environment(foreign, home=home, java=lambda _: JAVA)
    assert {name: value for name, value in made.items() if name.startswith("FLINK_")} == {
        "FLINK_HOME": str(home.path),
        "FLINK_CONF_DIR": str(home.path / "conf"),
    }


def test_made_from_itself_it_stays_the_same_but_for_a_configuration_of_ones_own(home: FlinkHome) -> None:
    once = flink_environment({"PATH": "/usr/bin", "PYTHONPATH": "/mine"}, home=home, java=lambda _: JAVA)
    own = {**once, "FLINK_CONF_DIR": "/second/conf"}
    assert flink_environment(own, home=home, java=lambda _: JAVA) == own


def test_without_a_home_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(FlinkHomeError) as caught:
        flink_environment({}, home=FlinkHome(tmp_path / "flink"), java=lambda _: JAVA)
    assert str(caught.value) == f"there is no Flink home in {tmp_path / 'flink'}; run `make install`"


def test_the_shell_gets_exports(
    home: FlinkHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "flink_home", lambda: home)
    monkeypatch.setenv("JAVA_HOME", "/somewhere")
    assert environment.main() == 0
    lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert [line[1].partition("=")[0] for line in lines if line[0] == "export"] == [
        "MODEL_SERVING_ENVIRONMENT",
        "FLINK_CONF_DIR",
        "FLINK_HOME",
        "JAVA_HOME",
        "LC_ALL",
        "OPENBLAS_NUM_THREADS",
        "PATH",
        "PYTHONPATH",
    ]
    assert lines[-1][:2] == ["unset", "FLINK_LIB_DIR"]
