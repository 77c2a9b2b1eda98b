"""Programs of the runtimes' makers measure where there is no Python: on phones above all."""
