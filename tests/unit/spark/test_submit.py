"""``spark-submit``: which words are Spark's options and which the job's, and what a job is started with."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from model_serving.runtime.errors import SetupError
from model_serving.spark import environment
from model_serving.spark.environment import SUBMIT_ARGS, is_local, spark_environment
from model_serving.spark.submit import read_call


@pytest.mark.parametrize(
    ("words", "options", "script", "arguments"),
    [
        ("s.py --bounded", "", "s.py", "--bounded"),
        ("--master local[2] s.py", "--master local[2]", "s.py", ""),
        ("--master=local[2] --verbose s.py -v", "--master local[2] --verbose", "s.py", "-v"),
        ("--conf a=b=c --supervise s.py --conf x", "--conf a=b=c --supervise", "s.py", "--conf x"),
        ("--version", "--version", "", ""),
        ("--kill", "--kill ", "", ""),
    ],
)
def test_the_first_word_that_belongs_to_no_option_is_the_script(
    words: str, options: str, script: str, arguments: str
) -> None:
    call = read_call(words.split())
    assert " ".join(call.options) == options
    assert (call.script, " ".join(call.arguments)) == (script, arguments)


def test_only_the_jobs_of_this_project_are_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_call([str(tmp_path / "spark_jobs" / "keyed.py")]).is_job_of(tmp_path)
    assert read_call(["spark_jobs/broadcast.py"]).is_job_of(tmp_path)
    assert not read_call(["keyed.py"]).is_job_of(tmp_path)
    assert not read_call(["spark_jobs/other.py"]).is_job_of(tmp_path)
    assert not read_call(["--version"]).is_job_of(tmp_path)


@pytest.mark.parametrize(
    ("words", "is_for_cluster"),
    [
        ("--deploy-mode cluster s.py", True),
        ("--deploy-mode=cluster s.py", True),
        ("--conf spark.submit.deployMode=cluster s.py", True),
        ("--deploy-mode client s.py --deploy-mode cluster", False),
    ],
)
def test_a_driver_on_the_cluster_is_left_to_pyspark(words: str, is_for_cluster: bool) -> None:
    assert read_call(words.split()).is_for_cluster is is_for_cluster


@pytest.mark.parametrize(
    ("words", "local"),
    [
        ("", True),
        ("--master local[4]", True),
        ("--conf spark.master=local", True),
        ("--master spark://h:7077", False),
        ("--conf spark.master=yarn", False),
    ],
)
def test_only_a_job_in_one_process_binds_to_loopback(words: str, local: bool) -> None:
    assert is_local(words.split()) is local


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Java, pyspark and the jars, as far as their places go."""
    monkeypatch.setattr(environment, "java_home", lambda environ: tmp_path / "java")
    monkeypatch.setattr(environment, "pyspark_home", lambda: tmp_path / "pyspark")
    monkeypatch.setattr(environment, "class_path", lambda *groups, cache=None: (tmp_path / "a.jar",))
    return tmp_path


def test_a_job_gets_java_python_the_settings_and_the_jars(ready: Path) -> None:
    made = spark_environment({"PATH": "/bin", "SPARK_HOME": "/another/spark"}, address="127.0.0.1")
    assert made["SPARK_HOME"] == str(ready / "pyspark")
    assert made["JAVA_HOME"] == str(ready / "java")
    assert made["PYSPARK_PYTHON"] == sys.executable
    assert (Path(made["SPARK_CONF_DIR"]) / "spark-defaults.conf").is_file()
    assert made["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert shlex.split(made[SUBMIT_ARGS]) == ["--jars", str(ready / "a.jar"), "pyspark-shell"]


def test_what_the_user_has_set_stays(ready: Path) -> None:
    base = {
        "SPARK_CONF_DIR": "/conf",
        "PYSPARK_PYTHON": "/python",
        SUBMIT_ARGS: "--jars /b.jar --master spark://h:7077 pyspark-shell",
    }
    made = spark_environment(base, address="127.0.0.1")
    assert (made["SPARK_CONF_DIR"], made["PYSPARK_PYTHON"]) == ("/conf", "/python")
    assert "SPARK_LOCAL_IP" not in made
    assert shlex.split(made[SUBMIT_ARGS]) == [
        *("--jars", f"{ready / 'a.jar'},/b.jar"),
        *("--master", "spark://h:7077"),
        "pyspark-shell",
    ]


def test_without_pyspark_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name, package=None: None)
    with pytest.raises(SetupError, match=r"^there is no pyspark here: run `make install-spark`"):
        environment.pyspark_home()
