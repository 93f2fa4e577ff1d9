"""What every benchmark shares: rounds in turn, medians and ratios, results that are kept."""
