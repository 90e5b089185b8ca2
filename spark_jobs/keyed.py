"""Serves models from keyed state: for each data type, one task has the model and scores all records.

``spark-submit spark_jobs/keyed.py [flags]``; ``--help`` lists them.
"""

from __future__ import annotations

from model_serving.spark.config import Variant
from model_serving.spark.run import main

if __name__ == "__main__":
    main(Variant.KEYED)
