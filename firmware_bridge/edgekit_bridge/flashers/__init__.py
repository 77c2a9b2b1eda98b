"""Ways to flash boards, one a file; each ends with its constant `FLASHER`."""
