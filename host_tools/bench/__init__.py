"""What an inference costs."""
