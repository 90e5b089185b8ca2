"""PMML models as numpy: the common kinds, with the meaning that PMML4S 1.5.8 gives to them."""
