"""Trials: a model that native code runs is first loaded and scored in a separate process."""
