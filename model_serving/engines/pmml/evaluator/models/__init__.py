"""The kinds of models: each module reads one kind of element and predicts for whole batches."""
