"""Runs a Spark job from the command line; both scripts call ``main``, each with its variant."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import NoReturn

from model_serving.messaging.preflight import PreflightError, check_topics
from model_serving.spark.config import SparkConfig, Variant, parse_config
from model_serving.spark.session import open_session
from model_serving.spark.started import Started

__all__ = ["main"]


def main(variant: Variant) -> None:
    """Parses the flags, checks the topics, and runs the job until it ends."""
    config = parse_config(sys.argv[1:], os.environ, variant)
    try:
        check_topics(config.kafka, config.topic_names)
    except PreflightError as error:
        _fail(variant, str(error))
    started = _start(config)
    try:
        for query in started.queries:
            query.awaitTermination()
    finally:
        started.close()


def _start(config: SparkConfig) -> Started:
    # By name, because only the variant that runs is imported.
    query = import_module(f"model_serving.spark.{config.variant.value}.query")
    started: Started = query.start(open_session(config), config)
    return started


def _fail(variant: Variant, why: str) -> NoReturn:
    print(f"{variant.value}.py: {why}", file=sys.stderr, flush=True)
    raise SystemExit(1)
