"""Uses of distances: results and their summary, distributions, uncertainty, selection."""
