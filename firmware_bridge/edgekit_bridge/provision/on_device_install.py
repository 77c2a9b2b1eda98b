"""Runs on the device, from standard input: unpacks wheels into a folder beside the others, and reports as JSON.

Usage: python3 - FOLDER KEY, with `FOLDER/incoming/*.whl` there and `FOLDER/incoming/hashes.json` naming each one's
SHA-256. Makes FOLDER/KEY, whole or not at all. Python 3.6 syntax, the standard library: an old board has nothing more.

A wheel is a zip archive of what goes to site-packages; `NAME.data/purelib` and `platlib` go there too (PEP 427).
"""

import hashlib
import json
import os
import shutil
import sys
import zipfile


def sha256(path: str) -> str:
    """The hash of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def place_of(name: str) -> str:
    """Where an archive's member goes, relative to the folder; empty when it goes nowhere.

    Raises:
        ValueError: It would leave the folder.
    """
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name:
        raise ValueError("the wheel names a file outside its folder: " + repr(name))
    if parts[0].endswith(".data") and len(parts) > 1:
        return "/".join(parts[2:]) if parts[1] in ("purelib", "platlib") else ""
    return name


def unpack(wheel: str, folder: str) -> None:
    """Unpack one wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            place = place_of(member.filename)
            if not place or member.filename.endswith("/"):
                continue
            path = os.path.join(folder, *place.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(member) as source, open(path, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def install(folder: str, key: str) -> None:
    """Check and unpack every wheel, then rename.

    Raises:
        ValueError: A wheel is damaged.
    """
    incoming = os.path.join(folder, "incoming")
    with open(os.path.join(incoming, "hashes.json")) as stream:
        hashes = json.load(stream)
    made = os.path.join(incoming, "unpacked")
    os.makedirs(made)
    for name, expected in sorted(hashes.items()):
        wheel = os.path.join(incoming, name)
        if sha256(wheel) != expected:
            raise ValueError(name + " is damaged: its SHA-256 is not what was sent")
        unpack(wheel, made)
        os.remove(wheel)
    final = os.path.join(folder, key)
    shutil.rmtree(final, ignore_errors=True)
    os.rename(made, final)


def main() -> None:
    """Install, and say how it went."""
    folder, key = sys.argv[1:]
    try:
        install(folder, key)
        print(json.dumps({"done": True}))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        print(json.dumps({"done": False, "why": "{}: {}".format(type(error).__name__, error)}))


if __name__ == "__main__":
    main()
