"""What a person at a serial monitor sees of a board, and the monitor itself."""
