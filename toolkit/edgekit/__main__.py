"""`python -m edgekit` is the `edgekit` command."""

import sys
from importlib import import_module

if __name__ == "__main__":
    sys.exit(import_module("edgekit_cli.main").main())
