"""The two jobs for ``spark-submit``: scripts that name their variant, and no more."""
