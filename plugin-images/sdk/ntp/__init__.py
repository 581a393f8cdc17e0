"""Write trading plugins: data sources, indicators, strategies, executors."""

__version__ = "0.1.0"
