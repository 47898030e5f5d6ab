"""What distances are good for: results and their summary, distributions, uncertainty, selection."""
