"""The `edgekit` command line: reads what the user wants, calls `edgekit`, shows what came of it."""
