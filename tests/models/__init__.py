"""Small models written in code."""
