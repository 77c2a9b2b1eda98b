"""Keeps runs: a SQLite file by default, any database that SQLAlchemy knows by URL."""

from edgekit.store.database import VARIABLE, open_store
from edgekit.store.tables import STORE_VERSION

__all__ = ["STORE_VERSION", "VARIABLE", "open_store"]
