"""Serves models that every task has: any task scores the records of any data type.

``spark-submit spark_jobs/broadcast.py [flags]``; ``--help`` lists them.
"""

from __future__ import annotations

from model_serving.spark.config import Variant
from model_serving.spark.run import main

if __name__ == "__main__":
    main(Variant.BROADCAST)
