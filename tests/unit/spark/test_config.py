"""The flags of the Spark jobs: what is Spark's own, what is refused, and what follows from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.spark.config import Variant, parse_config


def test_each_variant_has_a_checkpoint_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = {variant: parse_config([], {}, variant) for variant in Variant}
    assert found[Variant.KEYED].checkpoint_dir == (tmp_path / "checkpoints" / "spark-keyed").as_uri()
    assert found[Variant.BROADCAST].checkpoint_dir == (tmp_path / "checkpoints" / "spark-broadcast").as_uri()
    assert [config.host for config in found.values()] == ["spark-keyed", "spark-broadcast"]


def test_the_model_store_is_beside_the_queries_where_none_is_named() -> None:
    beside = parse_config(["--checkpoint-dir", "/c/"], {}, Variant.KEYED)
    assert (beside.location("serve"), beside.store) == ("file:///c/serve", "file:///c/models")
    named = parse_config(["--model-store", "/m"], {}, Variant.KEYED)
    assert named.store == "file:///m"
    # Python has no client for it: models stay in state.
    assert parse_config(["--checkpoint-dir", "hdfs2://h/c"], {}, Variant.KEYED).store == ""


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ["--delivery", "exactly-once"],
            (
                "--delivery exactly-once: Spark writes to Kafka at least once; take at-least-once, and drop "
                "repeats by the headers of each result, or use a host that has it (Flink, model-serving run)"
            ),
        ),
        (
            ["--ui-port", "65536"],
            "--ui-port: '65536' is not a port: at most 65535, or 0 for none",
        ),
        (
            ["--max-records-per-trigger", "0"],
            "--max-records-per-trigger: '0' is not a whole number of 1 or more",
        ),
        (
            ["--execution-mode", "thread"],
            "unrecognized arguments: --execution-mode thread",
        ),
    ],
)
def test_what_spark_cannot_do_is_refused_in_one_line(
    flags: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config(flags, {}, Variant.BROADCAST)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"broadcast.py: {line}\n"
