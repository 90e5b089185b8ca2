"""Models that a model server scores: their locations, the headers of requests, what an outage does."""
