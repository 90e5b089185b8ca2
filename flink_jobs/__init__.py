"""The jobs: what is connected to what. Behaviour lives in ``functions``."""
