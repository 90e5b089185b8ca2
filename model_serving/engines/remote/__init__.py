"""Engines for models that a model server scores: TensorFlow Serving, and the Open Inference Protocol v2."""
