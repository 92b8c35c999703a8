"""Pulling, from a registry that is as slow and as broken as a test wants it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jupyter_launch.backends.local_container import LocalContainer
from jupyter_launch.docker_engine import address, connect
from jupyter_launch.errors import ImageNotFound, RunStopped
from jupyter_launch.program import Program
from jupyter_launch.report import Silent
from jupyter_launch.runs import new_id
from tests.reports import Heard

pytestmark = pytest.mark.docker
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
IMAGE = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PIECES, PACE_S = 16, 0.1


class Registry(ThreadingHTTPServer):
    """One image, whose layer goes out in pieces, as over a slow network."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.image = f"127.0.0.1:{self.server_port}/jl-test-{new_id()}"
        self.broken = False
        self.hung_up = threading.Event()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            member = tarfile.TarInfo("random")
            member.size = 4_000_000
            tar.addfile(member, io.BytesIO(os.urandom(member.size)))
        self.blobs: dict[str, bytes] = {}
        layer = self.add(gzip.compress(packed.getvalue(), 1), LAYER)
        diff = f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}"
        config = {
            "os": "linux",
            "architecture": "amd64",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff]},
        }
        self.layer = str(layer["digest"])
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.add(json.dumps(config).encode(), IMAGE),
            "layers": [layer],
        }
        self.manifest = json.dumps(manifest).encode()

    def add(self, blob: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        self.blobs[digest] = blob
        return {"mediaType": kind, "size": len(blob), "digest": digest}


class Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        last = self.path.rpartition("/")[2]
        if "/manifests/" in self.path:
            self.answer(self.server.manifest, MANIFEST)
        elif last in self.server.blobs:
            self.answer(self.server.blobs[last], "application/octet-stream", last)
        else:
            self.answer(b"{}", "application/json")

    do_HEAD = do_GET  # noqa: N815

    def answer(self, data: bytes, kind: str, digest: str = "") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header(
            "Docker-Content-Digest", digest or f"sha256:{hashlib.sha256(data).hexdigest()}"
        )
        self.end_headers()
        if self.command == "HEAD":
            return
        if digest != self.server.layer:
            self.wfile.write(data)
            return
        size = len(data) // PIECES + 1
        try:
            for at in range(0, len(data), size):
                time.sleep(PACE_S)
                piece = data[at : at + size]
                self.wfile.write(bytes(len(piece)) if self.server.broken else piece)
        except OSError:
            self.server.hung_up.set()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()
    engine = connect(address())
    if engine.images(made.image):
        engine.remove_image(made.image)


def test_a_pull_reports_its_progress(registry: Registry) -> None:
    lines: list[str] = []
    program = Program(image=registry.image)
    assert LocalContainer().prepare(program, Heard(lines.append)) == program
    assert lines[0] == f"pulling image {registry.image}"
    percents = [int(re.sub(r".*: (\d+) %", r"\1", line)) for line in lines[1:]]
    assert percents
    assert percents == sorted(set(percents))
    lines.clear()
    LocalContainer().prepare(program, Heard(lines.append))
    assert lines == []


def test_an_image_that_breaks_in_the_middle_says_so(registry: Registry) -> None:
    registry.broken = True
    with pytest.raises(ImageNotFound, match=r"pulling it failed: .*(verification|digest|checksum)"):
        LocalContainer().prepare(Program(image=registry.image), Silent())


def test_a_stopped_run_gives_its_pull_up(registry: Registry) -> None:
    def report(line: str) -> None:
        if line.endswith("%"):
            raise RunStopped

    with pytest.raises(RunStopped):
        LocalContainer().prepare(Program(image=registry.image), Heard(report))
    assert registry.hung_up.wait(20)
