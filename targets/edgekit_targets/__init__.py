"""Target profiles: TOML files, how they are loaded, and what fits a device."""
