"""Serves models keyed by data type: each data type's model is in keyed state beside the records it scores.

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
