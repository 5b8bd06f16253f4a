"""A hub of one model on the loopback address, which tells what it was asked and can stall."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

CHUNK = 2**14


@dataclass
class SmallHub:
    """What the handler serves. asked: each file and the byte from which it was asked for.

    stalls_at: bytes of the one file that are sent before `on_stall` is called, and no more.
    """

    folder: Path
    repo: str
    revision: str
    asked: list[tuple[str, int]] = field(default_factory=list)
    stalls: str | None = None
    stalls_at: int = 0
    on_stall: Callable[[], object] = lambda: None
    spoiled: str | None = None

    def names(self) -> list[str]:
        files = (file for file in sorted(self.folder.rglob("*")) if file.is_file())
        return [str(file.relative_to(self.folder)) for file in files]

    def info(self) -> dict[str, object]:
        """As `/api/models/...?blobs=true` answers; all but JSON and text lies in LFS."""
        siblings = []
        for name in self.names():
            data = (self.folder / name).read_bytes()
            lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            large = name.endswith((".safetensors", ".bin", ".model"))
            one = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
            siblings.append({**one, "lfs": {**lfs, "pointerSize": 100}} if large else one)
        return {"id": self.repo, "sha": self.revision, "siblings": siblings, "tags": []}


def handler_of(hub: SmallHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if path == f"/api/models/{hub.repo}/revision/{hub.revision}":
                self.answer(200, json.dumps(hub.info()).encode())
                return
            root = f"/{hub.repo}/resolve/{hub.revision}/"
            name = path.removeprefix(root)
            if not path.startswith(root) or name not in hub.names():
                self.answer(404, b"")
                return
            begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            at = int(begin[1]) if begin else 0
            hub.asked.append((name, at))
            data = (hub.folder / name).read_bytes()
            if name == hub.spoiled:
                data = bytes(len(data))
            self.answer(206 if begin else 200, data[at:], len(data), name == hub.stalls)

        def answer(self, status: int, data: bytes, total: int = 0, stalls: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if status == 206:
                self.send_header("Content-Range", f"bytes {total - len(data)}-{total - 1}/{total}")
            self.end_headers()
            if not stalls:
                self.wfile.write(data)
                return
            hub.stalls = None
            self.wfile.write(data[: hub.stalls_at])
            self.wfile.flush()
            hub.on_stall()
            self.close_connection = True

    return Handler


@contextmanager
def served(hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    """The hub where the hub's client looks for it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(hub))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", CHUNK)
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
