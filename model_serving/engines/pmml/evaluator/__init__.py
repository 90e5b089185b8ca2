"""Evaluates PMML models with numpy, as the standard (PMML 4.4, dmg.org) says."""
