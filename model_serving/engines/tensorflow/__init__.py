"""TensorFlow models: frozen graphs and SavedModels."""
