"""The float side: from raw data to a trained network."""

from model import threads

__version__ = "0.1.0"

threads.fix()
