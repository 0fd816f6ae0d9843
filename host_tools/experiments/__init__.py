"""The recorded experiments: list, compare, make again."""
