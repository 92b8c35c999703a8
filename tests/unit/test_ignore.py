"""What is left out of a snapshot: the same as git leaves out, and what the own file says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_launch.errors import SpecError
from jupyter_launch.sources.ignore import Rules, shown
from jupyter_launch.sources.snapshot import tree

GIT = ("git", "-c", "core.excludesFile=/dev/null", "-c", "user.name=x", "-c", "user.email=x@y")
ALWAYS = "always/there"

names = st.sampled_from(
    ["a", "b", "ab", "a.x", "b.x", "-", "]", "a b", "a ", "\\", "!a", "#", "A", "1", "ä"]
)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
tokens = st.sampled_from(
    [b"a", b"b", b".x", b"-", b" ", b"!", b"#", b"]", b"\t", b"\r", b"\\", b"\xc3\xa4", b"/",
     b"\\/", b"*", b"**", b"?", b"/**/", b"**/", b"/**", b"a/b", b"*.x", b"[ab]", b"[!a]",
     b"[^b]", b"[a-b]", b"[]-a]", b"[b", b"[[:alpha:]]", b"[[:punct:]-]", b"[[:x:]]", b"[\\]a]",
     b"[\xa0-\xb0]"]
)  # fmt: skip
lines = st.tuples(st.sampled_from([b"", b"", b"!"]), st.lists(tokens, max_size=5).map(b"".join))
ignores = st.lists(lines.map(b"".join), max_size=4).map(b"\n".join)


def put(name: str, data: bytes = b"") -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def kept(folder: str = ".") -> set[str]:
    return {name for name, _ in tree(Path(folder))}


def git(*words: str) -> bytes:
    return subprocess.run([*GIT, *words], check=True, capture_output=True, timeout=60).stdout


def kept_by_git() -> set[str]:
    listed = git("ls-files", "-co", "--exclude-standard", "-z").split(b"\0")
    return {os.fsdecode(name) for name in listed if name}


@contextmanager
def planted(
    files: Sequence[str], texts: Sequence[tuple[str, bytes]], exclude: bytes
) -> Iterator[None]:
    """Fill the repository with those files that can be: a name may be a folder's already."""
    for name in files:
        if not any(parent.is_file() for parent in Path(name).parents) and not Path(name).is_dir():
            put(name)
    for folder, text in texts:
        if Path(folder).is_dir():
            put(f"{folder}/.gitignore", text)
    put(".git/info/exclude", exclude)
    yield
    for entry in list(Path().iterdir()):
        if entry.is_file():
            entry.unlink()
        elif entry.name != ".git":
            shutil.rmtree(entry)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a repository of one's own, from which everything may be removed."""
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    git("init", "-q", ".")


# -- as git does it ----------------------------------------------------------------------------


@pytest.mark.usefixtures("repository")
def test_what_git_ignores_is_left_out() -> None:
    @settings(max_examples=250)
    @given(
        st.lists(paths, max_size=12),
        ignores,
        st.lists(st.tuples(paths, ignores), max_size=3),
        ignores,
    )
    @example(["foo/foo", "foo/bar"], b"foo\n!foo/", [], b"")
    @example(["foobar", "foo/x/bar"], b"foo**/bar", [], b"")
    @example(["ä.x", "a"], b"?.x\na\t", [], b"")
    @example(["xaybzb.x", "xa/yb", "ab", "aab.x"], b"*a*b*b*.x\n*a*b\n/*a/*", [], b"")
    @example(["a/b/c", "a/c", "c"], b"/a/**/c\n", [("a", b"!c")], b"c")
    @example([os.fsdecode(b"a\xff.x"), "b.x"], b"\xef\xbb\xbf*\xff.x\r\n", [], b"")
    def check(
        files: list[str], top: bytes, deeper: list[tuple[str, bytes]], exclude: bytes
    ) -> None:
        with planted([ALWAYS, *files], [(".", top), *deeper], exclude):
            expected = kept_by_git()
            if expected:
                assert kept() == expected
            else:
                with pytest.raises(SpecError, match="all are left out"):
                    kept()

    check()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python's expressions retry")
def test_a_pattern_of_many_stars_does_not_take_for_ever() -> None:
    put(".gitignore", b"*a" * 60 + b"*b\n" + b"x/" + b"*a" * 60 + b"*b\n*[ab]*?a*??*c*a*b")
    put("x/" + "a" * 240)
    assert "x/" + "a" * 240 in kept()


@pytest.mark.usefixtures("repository")
def test_rules_from_the_repositorys_top_hold_in_the_folder_that_is_launched() -> None:
    put(".gitignore", b"*.pt\n/code/secret\nsecret2\n")
    put("code/.gitignore", b"!good.pt\n")
    put(".git/info/exclude", b"*.tmp")
    for name in ("main.py", "a.pt", "good.pt", "deep/b.pt", "x.tmp", "secret", "secret2"):
        put(f"code/{name}")
    assert kept("code") == {"main.py", "good.pt", ".gitignore"}
    Path("link").symlink_to("code")
    assert kept("link") == {"main.py", "good.pt", ".gitignore"}


@pytest.mark.usefixtures("repository")
def test_an_ignored_folder_that_is_launched_by_name_comes_whole() -> None:
    put(".gitignore", b"build/\n*.py")
    put("build/out/main.py")
    assert kept("build/out") == {"main.py"}


@pytest.mark.usefixtures("repository")
def test_a_linked_work_tree_knows_what_its_repository_excludes() -> None:
    put("main.py")
    git("add", "main.py")
    git("commit", "-qm", "x")
    git("worktree", "add", "-q", "../linked")
    put(".git/info/exclude", b"*.tmp")
    put("../linked/a.tmp")
    assert kept("../linked") == {"main.py"}


def test_a_gitignore_counts_without_a_repository() -> None:
    put(".gitignore", b"*.log")
    put("a.log")
    put("main.py")
    assert kept() == {".gitignore", "main.py"}


# -- our own -----------------------------------------------------------------------------------


def test_the_own_file_wins_over_gits() -> None:
    put(".gitignore", b"*.csv\n")
    put("deep/.gitignore", b"*.txt\n!c.csv")
    put(".launchignore", b"!*.txt\n!a.csv\n*.png\n/deep/c.csv")
    for name in ("a.csv", "b.csv", "x.png", "deep/a.txt", "deep/c.csv", "main.py"):
        put(name)
    ours = {".gitignore", ".launchignore", "deep/.gitignore"}
    assert kept() - ours == {"a.csv", "deep/a.txt", "main.py"}


def test_the_nearer_own_file_wins_over_the_farther() -> None:
    put(".launchignore", b"*.bin\n")
    put("models/.launchignore", b"!small.bin")
    for name in ("a.bin", "models/small.bin", "models/large.bin"):
        put(name)
    assert {name for name in kept() if name.endswith("bin")} == {"models/small.bin"}


def test_what_is_made_from_the_code_stays_out_unless_the_own_file_brings_it_back() -> None:
    put(".gitignore", b"*\n!*/\n!*.py\n")
    for name in ("main.py", "venv/a.py", "wandb/b.py", "x/__pycache__/c.py", ".git/d.py"):
        put(name)
    assert kept() == {"main.py"}
    put(".launchignore", b"!wandb\n!.git")
    assert kept() == {"main.py", "wandb/b.py"}


def test_a_folder_that_is_left_out_is_not_looked_into() -> None:
    put(".launchignore", b"data/\n!data/keep.csv")
    put("data/keep.csv")
    Path("data/away").symlink_to("/")  # which would be an error
    put("main.py")
    assert kept() == {".launchignore", "main.py"}


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_called_an_ignore_file_and_is_none_says_nothing(kind: str) -> None:
    put("main.py", b"*")
    if kind == "pipe":
        os.mkfifo(".launchignore")
    elif kind == "folder":
        put(".launchignore/main.py")
    else:
        Path(".launchignore").symlink_to("main.py")
    assert "main.py" in kept()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_ignore_file_that_cannot_be_read_is_an_error() -> None:
    put(".launchignore", b"secret")
    Path(".launchignore").chmod(0)
    with pytest.raises(SpecError, match="launchignore cannot be read: Permission denied"):
        kept()


def test_rules_without_files_leave_out_what_is_made_from_the_code_alone() -> None:
    assert Rules().leaves_out("venv", is_folder=True)
    assert not Rules().leaves_out("data", is_folder=True)


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_every_name_can_be_shown(name: bytes) -> None:
    text = shown(os.fsdecode(name))
    text.encode("utf-8")
    assert text.isprintable()
