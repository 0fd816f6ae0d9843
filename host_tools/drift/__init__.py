"""What a device has counted, against the profile of its training data."""
