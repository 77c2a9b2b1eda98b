"""Small models of every kind that engineers bring: what the converters are measured by (`scripts/bench zoo`)."""
