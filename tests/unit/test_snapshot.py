"""Snapshots of folders: what comes along, what is refused, and that nothing is torn."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_launch.errors import SpecError
from jupyter_launch.sources import packed, snapshot
from jupyter_launch.sources.packed import BLOCK
from jupyter_launch.sources.snapshot import pack, tree
from jupyter_launch.stores.base import Store

parts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=60
).filter(lambda part: part not in {".", "..", ".git"} and len(part.encode()) < 250)
names = st.lists(parts, min_size=1, max_size=4).map("/".join)


def put(name: str, data: bytes | str = b"", mode: int = 0o644) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(mode)
    return path


def archive(folder: str = ".") -> bytes:
    return b"".join(pack(tree(Path(folder))))


def content(data: bytes) -> dict[str, bytes]:
    """Give a tar's files with their content, and its links with where they lead."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {
            member.name: member.linkname.encode() if member.issym() else file.read()
            for member in tar
            if (file := io.BytesIO() if member.issym() else tar.extractfile(member))
        }


def refusal(folder: str = ".") -> str:
    with pytest.raises(SpecError) as failure:
        archive(folder)
    str(failure.value).encode()  # it can be stored and shown
    return str(failure.value)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the times of files however new they are."""
    monkeypatch.setattr(packed, "SETTLED_NS", 0)


# -- the archive -------------------------------------------------------------------------------


@given(st.dictionaries(names, st.tuples(st.binary(max_size=1500), st.booleans()), max_size=6))
@example({"x" * 100: (b"1", True), "y" * 101: (b"2", False), "z/" * 90 + "ä": (b"", False)})
@example({"full block": (bytes(BLOCK - 512), False), "next": (b"x", False)})
@example({"over": (b"a" * (BLOCK + 1), False), "to the end mark": (b"b" * (BLOCK - 3072), True)})
def test_an_archive_is_what_tarfile_makes_in_pieces_of_one_block(
    files: dict[str, tuple[bytes, bool]],
) -> None:
    out = io.BytesIO()
    sources = {}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, (name, (data, runs)) in enumerate(sorted(files.items())):
            sources[name] = put(f"source-{number}", data, 0o744 if runs else 0o600)
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if runs else 0o644
            tar.addfile(info, io.BytesIO(data))
    pieces = list(pack(sources.items()))
    assert b"".join(pieces) == out.getvalue()
    assert all(0 < len(piece) <= BLOCK for piece in pieces)


def test_the_system_s_own_tar_reads_it() -> None:
    put("code/main.py", "print(1)")
    put("code/größe/" + "x" * 150, "data")
    Path("code/latest").symlink_to("größe")
    put("archive.tar", archive("code"))
    subprocess.run(["tar", "-xf", "archive.tar", "--one-top-level=out"], check=True, timeout=60)
    assert Path("out/latest", "x" * 150).read_text() == "data"
    assert Path("out/main.py").read_text() == "print(1)"


def test_two_files_of_one_name_are_refused() -> None:
    first, second = put("a/x"), put("b/x")
    with pytest.raises(SpecError, match="Two files would both be called 'x'"):
        pack([("x", first), ("y", first), ("x", second)])


# -- which files come along --------------------------------------------------------------------


def test_pipes_sockets_and_empty_folders_are_passed_over() -> None:
    put("main.py")
    os.mkfifo("pipe")
    Path("empty/deep").mkdir(parents=True)
    Path("also pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert set(content(archive())) == {"main.py"}


def test_a_pipe_that_is_asked_for_is_refused_and_not_waited_for() -> None:
    os.mkfifo("pipe")
    with pytest.raises(SpecError, match="pipe is no file"):
        pack([("pipe", Path("pipe"))])


def test_links_to_files_are_followed_and_links_to_folders_stay_links() -> None:
    put("code/main.py", "print(1)")
    put("code/data/v1/x.csv", "1")
    Path("code/again.py").symlink_to("main.py")
    Path("code/data/latest").symlink_to(Path("code/data/v1").resolve())
    Path("code/data/v1/up").symlink_to("../..")
    Path("code/self").symlink_to(".")
    assert content(archive("code")) == {
        "main.py": b"print(1)",
        "again.py": b"print(1)",
        "data/v1/x.csv": b"1",
        "data/latest": b"v1",
        "data/v1/up": b"../..",
        "self": b".",
    }


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python has no such filter")
def test_links_arrive_where_python_unpacks_with_care(tmp_path: Path) -> None:
    put("code/data/v1/x.csv", "1")
    Path("code/latest").symlink_to("data/v1")
    Path("code/data/root").symlink_to("..")
    with tarfile.open(fileobj=io.BytesIO(archive("code"))) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    assert (tmp_path / "out/data/root/latest/x.csv").read_text() == "1"


@pytest.mark.parametrize("kind", ["file", "folder", "repository"])
def test_a_link_out_of_the_folder_is_refused(kind: str) -> None:
    put("code/main.py")
    put("code/.git/config")
    targets = {"file": put("secret.txt"), "folder": put("other/x").parent}
    target = targets.get(kind, Path("code/.git/config")).resolve()
    Path("code/link").symlink_to(target)
    assert refusal("code") == (
        f"code/link is a link to {target}, outside of code.\n"
        "Copy the file into the folder, or bring it with --include. "
        "A pattern in a file .launchignore leaves it out."
    )
    put("code/.launchignore", "link")
    assert set(content(archive("code"))) == {"main.py", ".launchignore"}


@pytest.mark.parametrize("target", ["nothing", "link"])
def test_a_link_that_leads_nowhere_is_refused(target: str) -> None:
    put("main.py")
    Path("link").symlink_to(target)
    assert refusal().startswith(f"./link is a link to {Path.cwd()}/")
    assert ", which is not there.\nMend or remove the link. " in refusal()


def test_a_name_that_is_no_text_is_refused_and_shown_safely() -> None:
    put("code/main.py")
    put(os.fsdecode(b"code/caf\xe9\x1b[2J.txt"))
    assert refusal("code") == (
        "The name of the file code/caf\\xe9\\x1b[2J.txt is no UTF-8 text.\n"
        "Rename the file, or leave it out by a pattern in .launchignore."
    )
    put("code/.launchignore", b"caf\xe9*\n")
    assert set(content(archive("code"))) == {"main.py", ".launchignore"}


def test_a_folder_with_nothing_to_bring_is_refused() -> None:
    Path("empty").mkdir()
    assert refusal("empty").startswith("There are no files in the folder empty, or all are left")
    put("empty/.launchignore", "*")
    assert refusal("empty").endswith(
        "\nA line such as !*.py in its .launchignore brings files back."
    )


def test_a_folder_that_is_not_there_is_refused() -> None:
    assert refusal("gone") == (
        "The folder gone cannot be read: No such file or directory.\n"
        "A pattern in a file .launchignore leaves it out."
    )


# -- limits ------------------------------------------------------------------------------------


def test_gigabytes_are_refused_unread_with_the_largest_named() -> None:
    put("code/main.py", "print(1)")
    for name, size in {"data/big.bin": 2_000_000_000, "middle": 1_000_000, "x": 5_000_000}.items():
        os.truncate(put(f"code/{name}"), size)
    assert refusal("code") == (
        "The files are 2006 MB together, over the limit of 100 MB. "
        "The largest: data/big.bin (2000 MB), x (5 MB), middle (1 MB), main.py (0 MB).\n"
        "Name what the program does not need in a file .launchignore (written like a .gitignore), "
        "or keep data elsewhere and reach it through a volume or by its address."
    )
    put("code/.launchignore", "data/")
    assert len(archive("code")) > 6_000_000


def test_too_many_files_are_refused_with_the_fullest_folders_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "LIMIT_FILES", 40)
    for number in range(40):
        put(f"code/data/{number % 2}/{number % 3}/{number}.png")
    assert len(content(archive("code"))) == 40
    put("code/data/0/one-more.png")
    head, _, rest = refusal("code").partition(" data (41), data/")
    assert head == "There are more than 40 files in code. The first of them are in:"
    assert "Name what the program does not need in a file .launchignore" in rest
    put("code/.launchignore", "/data/0")
    assert len(content(archive("code"))) == 21


def test_too_many_files_in_the_folder_itself_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LIMIT_FILES", 1)
    put("code/a")
    put("code/b")
    assert refusal("code").startswith("There are more than 1 files in code.\nName what")


# -- while files change ------------------------------------------------------------------------


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_another(path: Path) -> None:
    put("other", path.read_bytes()).replace(path)


def be_written_anew(path: Path) -> None:
    data, before = path.read_bytes(), path.stat().st_mtime_ns
    while path.stat().st_mtime_ns == before:  # a clock's tick may be milliseconds
        path.write_bytes(bytes(len(data)))


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def pieces_with(change: Callable[[Path], object], name: str) -> Iterator[bytes]:
    """Pack the working directory, and change a file once the first piece is there."""
    for number, piece in enumerate(pack(tree(Path()))):
        if number == 0:
            change(Path(name))
        yield piece


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("first", change) for change in (grow, shrink, be_written_anew)),
        *(("last", change) for change in (grow, shrink, be_written_anew)),
        *(("last", change) for change in (Path.unlink, become_a_pipe, become_another)),
    ],
)
def test_a_file_that_changes_while_it_is_read_ends_it_with_nothing_stored(
    store: Store, tmp_path: Path, name: str, change: Callable[[Path], object]
) -> None:
    put("first", os.urandom(3 * BLOCK))
    put("last", "b" * 1000)
    with pytest.raises(SpecError) as failure:
        store.put_snapshot(pieces_with(change, name))
    assert str(failure.value) == (
        f"{name} changed while it was read.\nLaunch again once nothing writes to it."
    )
    assert list((tmp_path / "store").rglob("snapshots/*")) == []


@pytest.mark.parametrize("change", [Path.unlink, become_a_pipe, become_another])
def test_a_file_that_is_replaced_once_it_is_open_comes_as_it_was(
    change: Callable[[Path], object],
) -> None:
    data = os.urandom(3 * BLOCK)
    put("first", data)
    assert content(b"".join(pieces_with(change, "first")))["first"] == data


def test_a_file_of_a_size_that_is_not_true_is_refused() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("this system has no such files")
    with pytest.raises(SpecError, match="/proc/self/status changed while it was read"):
        list(pack([("status", Path("/proc/self/status"))]))


# -- what tells that nothing changed -----------------------------------------------------------


def stamp() -> str | None:
    return pack(tree(Path())).stamp


def changed(path: Path) -> None:
    """Give a file other content of the same size, and its old time of change."""
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(bytes(before.st_size))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    "change",
    [
        lambda: changed(Path("main.py")),
        lambda: put("more.py"),
        lambda: Path("main.py").unlink(),
        lambda: Path("main.py").rename("other.py"),
        lambda: Path("main.py").chmod(0o755),
        lambda: put(".launchignore", "main.py"),
        lambda: Path("other link").replace("link"),
    ],
)
def test_every_change_has_another_stamp(change: Callable[[], object]) -> None:
    put("main.py", "print(1)")
    put("one/x")
    put("two/y")
    Path("link").symlink_to("one")
    put(".launchignore", "other link")
    Path("other link").symlink_to("two")
    before = stamp()
    assert before is not None
    assert stamp() == before
    change()
    assert stamp() not in {before, None}


def test_what_changed_just_now_has_no_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    put("main.py", "print(1)")
    monkeypatch.setattr(packed, "SETTLED_NS", 3600 * 10**9)  # even on a slow machine
    assert stamp() is None


@pytest.mark.usefixtures("settled")
def test_what_did_not_change_is_not_read_again(store: Store) -> None:
    path = put("main.py", "print(1)")
    name = store.put_snapshot(pack(tree(Path())))

    again = pack(tree(Path()))
    path.rename("away")  # to read it would be an error now
    assert store.put_snapshot(again) == name
    Path("away").rename(path)
    changed(path)
    assert store.put_snapshot(pack(tree(Path()))) != name


def test_the_name_is_the_hash_of_the_archive(store: Store) -> None:
    put("main.py", "print(1)")
    made = archive()
    assert store.put_snapshot(pack(tree(Path()))) == hashlib.sha256(made).hexdigest()
    assert store.get_snapshot(hashlib.sha256(made).hexdigest()) == made
