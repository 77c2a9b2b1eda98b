"""How much a zip archive claims to hold, before anything of it is unpacked: a bomb is small outside and huge inside."""

import zipfile
from typing import Final

_HARMLESS: Final = 256 << 20
"""What may come out of any archive: less than a framework takes to be imported."""

_RATIO: Final = 200
"""The most that honest weights and samples shrink by: images that are nearly empty reach 20, deflate ends at 1,032."""


def bomb_reason(archive: zipfile.ZipFile) -> str:
    """Why an archive is taken for a bomb; empty where it is none.

    The file's own size counts, not what its directory says of members: those may share their bytes.
    """
    claimed = sum(item.file_size for item in archive.infolist())
    stream = archive.fp
    assert stream is not None  # noqa: S101 - it is open
    size = stream.seek(0, 2)
    if claimed <= max(_HARMLESS, _RATIO * size):
        return ""
    return f"its {size / 1e6:.1f} MB would become {claimed / 1e6:,.0f} MB"
