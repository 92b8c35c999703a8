"""What changed from one run to another."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from jupyter_launch.frontends import compare as module
from jupyter_launch.frontends.compare import compare
from jupyter_launch.owner import new_owner
from jupyter_launch.redact import REDACTED
from jupyter_launch.runs import Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores.base import Store

KEY, OTHER = "hf_abcdefghij0123456789XYZ", "hf_0000000000abcdefghijABC"


def recorded(store: Store, run_id: str, **spec: Any) -> Run:
    """Record a run of a spec."""
    given = {"docker": {"docker_image": "busybox"}, "run_id": run_id, **spec}
    return store.submit(LaunchSpec.from_dict(given), owner=new_owner())


def archive(files: dict[str, bytes]) -> bytes:
    """Make a tar archive of files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


def with_files(store: Store, run_id: str, files: dict[str, bytes]) -> Run:
    """Record a run of a script with these files."""
    name = store.put_snapshot(archive(files))
    source = {"kind": "path", "path": "code", "main": "main.py", "snapshot": name}
    return recorded(store, run_id, source=source)


def test_the_same_launched_again_has_nothing_changed(store: Store) -> None:
    spec = {"overrides": {"run_config": {"lr": 0.1}}, "source": {"kind": "cell", "body": "x = 1"}}
    old = recorded(store, "a", **spec, origin={"notebook": "a.ipynb", "cell": "c1"})
    assert compare(old, recorded(store, "b", **spec), store) == []


def test_each_part_that_changed_has_its_own_diff(store: Store) -> None:
    old = recorded(
        store,
        "old",
        overrides={"run_config": {"lr": 0.1, "epochs": 3}},
        source={"kind": "cell", "body": "a = 1\nprint(a)\n"},
    )
    new = recorded(
        store,
        "new",
        overrides={"run_config": {"lr": 0.2, "epochs": 3}},
        docker={"docker_image": "debian"},
        source={"kind": "cell", "body": "a = 2\nprint(a)\n"},
    )
    lines = compare(old, new, store)
    titles = [line for line in lines if line.startswith(("---", "+++"))]
    assert titles == [
        f"{mark} {part} ({run})"
        for part in ("spec", "image", "cell")
        for mark, run in (("---", "old"), ("+++", "new"))
    ]
    assert {"-    lr: 0.1", "+    lr: 0.2", "     epochs: 3"} <= {f"{s[0]}{s[1:]}" for s in lines}
    assert {"-image: busybox", "+image: debian", "-a = 1", "+a = 2", " print(a)"} <= set(lines)


def test_files_are_compared_one_by_one(store: Store) -> None:
    same = {"lib/same.py": b"same = 1\n"}
    old = with_files(
        store, "old", {**same, "main.py": b"one\ntwo\n", "data.bin": b"\0\1", "gone.txt": b"bye\n"}
    )
    new = with_files(
        store, "new", {**same, "main.py": b"one\n2\n", "data.bin": b"\0\2\3", "new.txt": b"hi\n"}
    )
    lines = compare(old, new, store)
    assert {"-two", "+2", " one", "-bye", "+hi"} <= set(lines)
    assert [line[1:9] for line in lines if "bytes" in line] == ["(2 bytes", "(3 bytes"]
    assert not [line for line in lines if "same" in line]
    assert not [line for line in lines if "snapshot" in line]


def test_secrets_are_in_no_diff(store: Store) -> None:
    old = recorded(store, "old", env={"A": KEY}, source={"kind": "cell", "body": f"k = '{KEY}'"})
    new = recorded(
        store, "new", env={"A": OTHER}, source={"kind": "cell", "body": f"k = '{OTHER}'\nnew()"}
    )
    text = "\n".join(compare(old, new, store))
    assert f" k = '{REDACTED}'" in text
    assert KEY not in text
    assert OTHER not in text


def test_what_would_steer_a_terminal_is_made_visible(store: Store) -> None:
    old = recorded(store, "old", source={"kind": "cell", "body": "a"})
    new = recorded(store, "new", source={"kind": "cell", "body": "\x1b[2Ja\x07"})
    assert not [line for line in compare(old, new, store) if not line.isprintable()]


def test_a_long_comparison_is_cut(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINES", 20)
    old = with_files(store, "old", {"main.py": b""})
    new = with_files(store, "new", {"main.py": b"".join(b"%d\n" % n for n in range(100))})
    lines = compare(old, new, store)
    assert len(lines) == 21
    assert "only 20" in lines[-1]
