"""How fast, how large, how it grows, and what one would get elsewhere: ``python -m benchmarks``."""
