"""A second evaluator of PMML, to compare with: one record at a time, recursive, slow, plain Python.

It is written from the standard (PMML 4.4), without the code of the engine's evaluator, and knows the common
part of it: the treatments of DataDictionary and MiningSchema, most expressions and functions, predicates,
TreeModel, RegressionModel, MiningModel, Targets and simple outputs. None is a missing value. A document that
it does not know ends in a KeyError, never in a guess.
"""

from tests.naive_pmml.document import Answer, Document

__all__ = ["Answer", "Document"]
