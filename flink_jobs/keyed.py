"""Serves models from keyed state: for each data type, one instance has the model and scores all records.

``flink run -py flink_jobs/keyed.py [flags]``; ``--help`` lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flink_jobs.run import main

if TYPE_CHECKING:
    from pyflink.datastream import DataStream

    from flink_jobs.config import JobConfig
    from flink_jobs.topology import Served


def keyed(models: DataStream, records: DataStream, config: JobConfig) -> Served:
    """The topology of this variant."""
    from flink_jobs.topology import serve_keyed

    return serve_keyed(models, records, config.serving)


if __name__ == "__main__":
    main("keyed.py", keyed)
