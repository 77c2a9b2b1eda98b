"""What a device is: read there, once, by a small program or by a plain shell."""
