"""Serves models from broadcast state: every instance has every model and can score any data type.

``flink run -py flink_jobs/broadcast.py [flags]``; ``--help`` lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flink_jobs.run import main

if TYPE_CHECKING:
    from pyflink.datastream import DataStream

    from flink_jobs.config import JobConfig
    from flink_jobs.topology import Served


def broadcast(models: DataStream, records: DataStream, config: JobConfig) -> Served:
    """The topology of this variant."""
    from flink_jobs.topology import serve_broadcast

    return serve_broadcast(models, records, config.serving, config.parallelism)


if __name__ == "__main__":
    main("broadcast.py", broadcast)
