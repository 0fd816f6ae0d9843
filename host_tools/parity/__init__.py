"""Outputs, layers, features and kernels of a device against the references."""
