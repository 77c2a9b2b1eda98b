"""The harness: the program that runs on the device, and the host's side of it."""
