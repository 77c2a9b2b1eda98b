"""Runs on the device, from standard input: prints the SHA-256 of each file named, null where there is none.

Python 3.6 syntax, like `on_device.py`; apart from it, since it also tells whether that file is there.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Optional


def sha256(path: str) -> Optional[str]:
    """The hash of a file; None when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                digest.update(chunk)
    except OSError:
        return None
    return digest.hexdigest()


def main() -> None:
    """Print one JSON object, path to hash."""
    found = {path: sha256(path) for path in sys.argv[1:]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
