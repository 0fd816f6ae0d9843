"""The way to a running firmware: frames, ports, the device, what runs it."""
