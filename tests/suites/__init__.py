"""Models that people and their tools have made, with the answers that they must give."""
