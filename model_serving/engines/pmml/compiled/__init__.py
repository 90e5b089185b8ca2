"""Compiles PMML models of the common kinds to numpy, with the meaning that PMML4S 1.5.8 gives them."""
