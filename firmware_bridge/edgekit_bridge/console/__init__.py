"""Linux boards that have no network yet: programs and files over the serial console that they log in at."""
