"""From a generated model to a firmware image."""
