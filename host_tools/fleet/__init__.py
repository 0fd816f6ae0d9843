"""Drift readings of many boards, summed up: which boards, which channel, since when."""
