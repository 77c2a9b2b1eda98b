"""Stand-ins for programs of the runtimes' makers, as files that a device can start."""

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

MakeProgram = Callable[..., Path]

HERE = Path(__file__).parent


@pytest.fixture
def make_program(tmp_path: Path) -> MakeProgram:
    """Makes a program of a stand-in in this folder: `benchmark_model`, and how it behaves."""

    def make(name: str, *, interpreter: str = sys.executable) -> Path:
        folder = tmp_path / "built"
        folder.mkdir(exist_ok=True)
        program = folder / name
        program.write_text(f"#!{interpreter}\n{(HERE / f'{name}_stand_in.py').read_text()}")
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves folders by HTTP; gives their URLs."""
    servers: list[ThreadingHTTPServer] = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
