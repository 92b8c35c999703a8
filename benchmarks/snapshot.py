"""Taking a snapshot of a folder of 1,000 files and 100 MB, beside `tar -cf` of the same folder.

Ours is on the disk when it is done (fsync), hashed, and kept by its content; tar's archive is in
the system's cache by then, so there is a row with both on the disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from jupyter_launch.sources.code import from_path
from jupyter_launch.sources.packed import SETTLED_NS
from jupyter_launch.stores.folder import Folder

from .measure import Peak, Row, in_turns

FILES, FILE_BYTES, FOLDERS = 1000, 100_000, 20
FIRST_BAR, UNCHANGED_BAR = 1.5, 0.3
MEMORY_BAR_MB = 16
TIMES = 15
WHAT = f"snapshot of {FILES:,} files, {FILES * FILE_BYTES / 1e6:.0f} MB"


def rows(folder: Path) -> list[Row]:
    """Take it for the first time, then unchanged, and pack it with tar, in turns."""
    code = folder / "code"
    for number in range(FILES):
        path = code / f"part-{number % FOLDERS}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(FILE_BYTES))
    (code / "main.py").touch()
    time.sleep(SETTLED_NS / 1e9)  # what changed a moment ago would be read again
    kept = Folder(folder / "kept")
    first, synced_tar, unchanged, tar = in_turns(
        lambda: _first(code, folder / "new"),
        lambda: _tar(code, folder / "code.tar", synced=True),
        lambda: _ms(lambda: from_path(str(code), (), kept)),
        lambda: _tar(code, folder / "code.tar", synced=False),
        times=TIMES,
    )
    peak = Peak()
    _first(code, folder / "new")
    growth_mb = peak.growth() / 1e6
    peer, synced_peer = f"tar -cf {tar.text('ms')}", f"tar -cf, fsync {synced_tar.text('ms')}"
    ratio, unchanged_ratio = first.median / tar.median, unchanged.median / tar.median
    bars = f"<= {FIRST_BAR}x", f"<= {UNCHANGED_BAR}x", f"<= {MEMORY_BAR_MB} MB"
    return [
        Row(WHAT, first.text("ms"), peer, ratio, bars[0], ratio <= FIRST_BAR),
        Row("  both on the disk", first.text("ms"), synced_peer, first.median / synced_tar.median),
        Row(
            "  unchanged since the last one",
            unchanged.text("ms"),
            peer,
            unchanged_ratio,
            bars[1],
            unchanged_ratio <= UNCHANGED_BAR,
        ),
        Row(
            "  memory while it is taken",
            f"{growth_mb:.1f} MB",
            bar=bars[2],
            passed=growth_mb <= MEMORY_BAR_MB,
        ),
    ]


def _ms(task: Callable[[], object]) -> float:
    begun = time.perf_counter()
    task()
    return (time.perf_counter() - begun) * 1000


def _first(code: Path, new: Path) -> float:
    """Take a snapshot into a store that has none."""
    shutil.rmtree(new, ignore_errors=True)
    keep = Folder(new)
    return _ms(lambda: from_path(str(code), (), keep))


def _tar(code: Path, archive: Path, *, synced: bool) -> float:
    archive.unlink(missing_ok=True)

    def pack() -> None:
        subprocess.run(["tar", "-cf", archive, code.name], check=True, cwd=code.parent)
        if synced:
            with archive.open("rb") as file:
                os.fsync(file.fileno())

    return _ms(pack)
