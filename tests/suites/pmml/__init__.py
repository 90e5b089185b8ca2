"""Scores a folder of PMML documents with answers, and counts how many are right.

``python -m tests.suites.pmml FOLDER`` prints the counts; with ``--list`` it prints what is wrong in each
document, with ``--write`` it stores the counts and writes them into docs/models.md. The folder has
``documents/ID.pmml`` and ``ID.json``: fields, target, and rows with the answers of a reference evaluator.
"""
