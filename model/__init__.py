"""The float side: from raw data to a trained network."""

__version__ = "0.1.0"
