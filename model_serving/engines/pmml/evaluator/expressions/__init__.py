"""The expressions of PMML: each module reads some kinds of elements and computes values for whole batches."""
