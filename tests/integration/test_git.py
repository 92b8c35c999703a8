"""Git repositories as a source: real git, real servers, and all that can go wrong between them."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from jupyter_launch.errors import LaunchError, RunStopped, SourceUnavailable, SpecError
from jupyter_launch.report import Silent
from jupyter_launch.sources import git, git_cache, git_command, git_tree
from tests.conftest import TINY
from tests.git_server import GitServer, commit
from tests.git_server import git as run_git

TOKEN = "t0p-s3cret-t0ken"


class Heard(Silent):
    """A report that remembers what it was told, and can stop what is under way."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.log = b""
        self._ends: list[Callable[[], None]] = []
        self.stopped = False

    def __call__(self, text: str) -> None:
        self.lines.append(text)

    def output(self, data: bytes) -> None:
        self.log += data

    @contextlib.contextmanager
    def stoppable(self, end: Callable[[], None]) -> Iterator[None]:
        self._ends.append(end)
        try:
            if self.stopped:
                end()
            yield
        except Exception as error:
            if self.stopped:
                raise RunStopped from error
            raise
        finally:
            self._ends.remove(end)

    def stop(self) -> None:
        self.stopped = True
        for end in list(self._ends):
            end()


@pytest.fixture
def repos(tmp_path: Path) -> Path:
    folder = tmp_path / "repos"
    folder.mkdir()
    return folder


@pytest.fixture
def server(repos: Path) -> Iterator[GitServer]:
    made = GitServer(repos)
    yield made
    made.close()


def kept() -> Path:
    return Path(os.environ["JUPYTER_DATA_DIR"]) / "jupyter_launch/git"


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: file.read() for m in tar if (file := tar.extractfile(m))}


def fetched(uri: str, version: str | None = None, token: str | None = None) -> dict[str, bytes]:
    found = git.resolve(uri, version, token)
    return unpacked(
        git.archive(found.uri, found.commit, ref=found.ref, token=token, report=Silent())
    )


# -- which commit ------------------------------------------------------------------------------


@pytest.fixture
def history(repos: Path) -> tuple[str, str, str]:
    """Make a repository with a default branch of its own name, a tag, and another branch."""
    folder = repos / "r"
    first = commit(folder, {"main.py": "1"})
    run_git(folder, "branch", "-m", "trunk")
    run_git(folder, "tag", "-a", "v1", "-m", "one")
    second = commit(folder, {"main.py": "2"})
    run_git(folder, "checkout", "-q", "-b", "topic")
    third = commit(folder, {"main.py": "3"})
    run_git(folder, "update-ref", "refs/pull/7/head", third)
    run_git(folder, "checkout", "-q", "trunk")
    return first, second, third


@pytest.mark.parametrize("where", ["http", "file", "path"])
@pytest.mark.parametrize("old", [False, True])
def test_a_version_is_a_branch_a_tag_or_a_commit(
    where: str, old: bool, server: GitServer, repos: Path, history: tuple[str, str, str]
) -> None:
    server.old = old
    uri = {"http": server.url("r"), "file": f"file://{repos}/r", "path": f"{repos}/r"}[where]
    first, second, third = history
    versions: dict[str | None, tuple[str, str | None]] = {
        None: (second, "trunk"),
        "HEAD": (second, "trunk"),
        "v1": (first, "v1"),
        "topic": (third, "topic"),
        "refs/heads/topic": (third, "topic"),
        "refs/pull/7/head": (third, "refs/pull/7/head"),
        first: (first, None),
        first[:7]: (first, None),
        first[:12].upper(): (first, None),
    }
    for version, (sha, ref) in versions.items():
        found = git.resolve(uri, version)
        assert found == git.Resolved(uri, sha, ref, where != "http", ())
    for sha, text in zip(history, (b"1", b"2", b"3"), strict=True):
        assert unpacked(git.archive(uri, sha, report=Silent())) == {"main.py": text}


def test_an_unknown_version_is_refused_with_names_like_it(
    server: GitServer, repos: Path, history: tuple[str, str, str]
) -> None:
    for uri in (server.url("r"), str(repos / "r")):
        for version in ("tpoic", "v2", "abcdef0", "refs/heads/none"):
            with pytest.raises(SpecError) as caught:
                git.resolve(uri, version)
            assert caught.value.field == "version"
            assert "topic" in caught.value.hint


def test_a_commit_that_is_not_there_is_found_out(server: GitServer, repos: Path) -> None:
    commit(repos / "r", {"main.py": ""})
    gone = "1" * 40
    for old in (False, True):
        server.old = old
        with pytest.raises(SpecError, match=f"has no commit {gone}") as caught:
            git.archive(server.url("r"), gone, ref="main", report=Silent())
        assert caught.value.field == "version"
    with pytest.raises(SpecError, match=f"has no commit {gone}"):
        git.resolve(str(repos / "r"), gone)
    assert list(kept().iterdir()) == []


def test_an_empty_repository_is_refused(server: GitServer, repos: Path) -> None:
    run_git(repos, "init", "-q", "r")
    for uri in (server.url("r"), str(repos / "r")):
        with pytest.raises(SpecError, match="is empty") as caught:
            git.resolve(uri, None)
        assert caught.value.field == "uri"


def test_a_repository_without_a_default_branch_names_the_others(repos: Path) -> None:
    commit(repos / "r", {"main.py": ""})
    run_git(repos / "r", "symbolic-ref", "HEAD", "refs/heads/none")
    with pytest.raises(SpecError, match="no default branch") as caught:
        git.resolve(str(repos / "r"), None)
    assert "main" in caught.value.hint


def test_repositories_of_every_shape_are_read(repos: Path) -> None:
    first = commit(repos / "r", {"main.py": "1"})
    commit(repos / "r", {"main.py": "2"})
    run_git(repos, "clone", "-q", "--bare", "r", "bare")
    run_git(repos / "r", "worktree", "add", "-q", str(repos / "tree"), first)
    run_git(repos, "clone", "-q", "--depth=1", f"file://{repos}/r", "shallow")
    run_git(repos / "r", "checkout", "-q", first)
    assert fetched(str(repos / "bare")) == {"main.py": b"2"}
    assert fetched(str(repos / "tree")) == {"main.py": b"1"}
    assert fetched(str(repos / "shallow")) == {"main.py": b"2"}
    assert fetched(str(repos / "r")) == {"main.py": b"1"}
    assert git.resolve(str(repos / "r"), None).ref is None


def test_long_hashes_work(server: GitServer, repos: Path) -> None:
    run_git(repos, "init", "-q", "--object-format=sha256", "r")
    sha = commit(repos / "r", {"main.py": "x"})
    assert len(sha) == 64
    for version in (None, sha, sha[:50]):
        assert git.resolve(server.url("r"), version).commit == sha
    assert fetched(server.url("r")) == {"main.py": b"x"}


def test_what_is_not_committed_is_told(repos: Path) -> None:
    first = commit(repos / "r", {"main.py": "1", "d/x": "", "d/y": ""})
    commit(repos / "r", {"main.py": "2", ".gitignore": "*.pyc"})
    uri = str(repos / "r")
    assert git.resolve(uri, None).notices == ()
    (repos / "r/main.py").write_text("3")
    (repos / "r/d/x").unlink()
    (repos / "r/new file").touch()
    (repos / "r/new.pyc").touch()
    text = f"3 files of {uri} have changes that are not committed: the launch runs without them."
    assert git.resolve(uri, None).notices == (text,)
    (notice,) = git.resolve(f"{uri}#subdirectory=d", None).notices
    assert notice.startswith(f"1 file of {uri} has changes")
    assert git.resolve(uri, first).notices == ()
    assert fetched(uri)["main.py"] == b"2"


# -- unreachable -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("https://no-such-host.invalid/r", "host is not known"),
        ("http://127.0.0.1:1/r", "does not answer"),
        ("ssh://127.0.0.1:1/r", "does not answer"),
        ("SERVER/none", "no such repository"),
        ("WORK/none", "does not exist"),
        ("WORK", "is no git repository"),
    ],
)
def test_a_repository_out_of_reach_is_refused(
    uri: str, why: str, server: GitServer, tmp_path: Path
) -> None:
    uri = uri.replace("SERVER/", server.url("")).replace("WORK", str(tmp_path / "work"))
    with pytest.raises(SpecError, match=why) as caught:
        git.resolve(uri, None)
    assert caught.value.field == "uri"
    assert caught.value.hint
    with pytest.raises(LaunchError):
        git.archive(uri, "1" * 40, report=Silent())
    assert list(kept().iterdir()) == []


def test_a_host_that_never_answers_is_given_up(
    server: GitServer, repos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repos / "r", {"main.py": ""})
    server.stall_after = 0
    monkeypatch.setattr(git, "RESOLVE_S", 0.5)
    with pytest.raises(SpecError, match="did not answer within") as caught:
        git.resolve(server.url("r"), None)
    assert caught.value.field == "uri"


# -- fetching ----------------------------------------------------------------------------------


def random_bytes(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def test_no_more_is_fetched_than_the_commit(server: GitServer, repos: Path) -> None:
    commit(repos / "r", {"data": random_bytes(1_000_000)})
    middle = commit(repos / "r", {"data": "small"})
    commit(repos / "r", {"data": random_bytes(1_000_000, 1)})
    assert unpacked(git.archive(server.url("r"), middle, report=Silent())) == {"data": b"small"}
    assert server.sent < 100_000


def test_a_server_that_gives_out_branches_only_is_asked_for_those(
    server: GitServer, repos: Path
) -> None:
    server.old = True
    commit(repos / "r", {"data": random_bytes(1_000_000)})
    tip = commit(repos / "r", {"data": "small"})
    run_git(repos / "r", "branch", "deep")
    found = git.resolve(server.url("r"), "deep")
    commit(repos / "r", {"data": "later"})
    archive = git.archive(found.uri, tip, ref="deep", report=Silent())
    assert unpacked(archive) == {"data": b"small"}
    assert server.sent < 100_000


@pytest.mark.parametrize("ref", [None, "main"])
def test_a_branch_that_moved_on_is_fetched_whole(
    ref: str | None, server: GitServer, repos: Path
) -> None:
    server.old = True
    first = commit(repos / "r", {"main.py": "1"})
    commit(repos / "r", {"main.py": "2"})
    archive = git.archive(server.url("r"), first, ref=ref, report=Silent())
    assert unpacked(archive) == {"main.py": b"1"}


def test_a_server_of_plain_files_is_enough(server: GitServer, repos: Path) -> None:
    server.dumb = True
    first = commit(repos / "r", {"main.py": "1"})
    commit(repos / "r", {"main.py": "2"})
    run_git(repos / "r", "update-server-info")
    assert fetched(server.url("r")) == {"main.py": b"2"}
    assert fetched(server.url("r"), first) == {"main.py": b"1"}


def test_a_commit_is_fetched_once(server: GitServer, repos: Path) -> None:
    commit(repos / "r", {"main.py": "x"})
    uri = server.url("r")
    found = git.resolve(uri, None)
    archive = git.archive(uri, found.commit, report=Silent())
    server.close()
    heard = Heard()
    assert git.archive(uri, found.commit, ref="main", report=heard) == archive
    assert git.resolve(uri, found.commit).commit == found.commit
    assert heard.lines == []
    with pytest.raises(SpecError):
        git.resolve(uri, None)
    assert kept().stat().st_mode & 0o777 == 0o700
    assert [path.suffix for path in kept().iterdir()] == [".tar"]


def test_equal_commits_give_equal_bytes(server: GitServer, repos: Path) -> None:
    sha = commit(repos / "r", {"b": "1", "a/x": "2", "a.b": "3"})
    archives = {
        git.archive(uri, sha, report=Silent()) for uri in (server.url("r"), str(repos / "r"))
    }
    assert len(archives) == 1


def test_a_damaged_copy_is_fetched_anew(server: GitServer, repos: Path) -> None:
    sha = commit(repos / "r", {"main.py": "x"})
    archive = git.archive(server.url("r"), sha, report=Silent())
    (copy,) = kept().iterdir()
    copy.write_bytes(archive[:600])
    assert git.archive(server.url("r"), sha, report=Silent()) == archive
    assert copy.read_bytes() == archive


def test_what_was_not_used_for_longest_goes(repos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_cache, "LIMIT_BYTES", 25_000)  # room for two
    uri, shas = str(repos / "r"), [commit(repos / "r", {"main.py": str(i)}) for i in range(3)]
    for age, sha in enumerate(shas[:2]):
        git.archive(uri, sha, report=Silent())
        (copy,) = kept().glob(f"{sha}*")
        os.utime(copy, (age, age))
    git.archive(uri, shas[0], report=Silent())  # used again
    git.archive(uri, shas[2], report=Silent())
    assert {path.name[:40] for path in kept().iterdir()} == {shas[0], shas[2]}


def test_two_at_once_fetch_once(server: GitServer, repos: Path) -> None:
    sha = commit(repos / "r", {"data": random_bytes(100_000)})
    with ThreadPoolExecutor(4) as pool:
        archives = list(
            pool.map(lambda _: git.archive(server.url("r"), sha, report=Silent()), range(4))
        )
    assert len(set(archives)) == 1
    alone = [path for path in server.requests if path.endswith("info/refs?service=git-upload-pack")]
    assert len(alone) == 1
    assert [path.suffix for path in kept().iterdir()] == [".tar"]


# -- ended before its time ---------------------------------------------------------------------


@pytest.fixture
def stalling(server: GitServer, repos: Path) -> tuple[GitServer, str]:
    """Make a server that stops in the middle of sending a commit."""
    sha = commit(repos / "r", {"data": random_bytes(500_000)})
    server.stall_after = 200_000
    return server, sha


def test_a_fetch_of_which_nothing_arrives_is_given_up(
    stalling: tuple[GitServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, sha = stalling
    monkeypatch.setattr(git_command, "QUIET_S", 1.0)
    with pytest.raises(SourceUnavailable, match="nothing arrived for 1 seconds") as caught:
        git.archive(server.url("r"), sha, report=Silent())
    assert caught.value.hint
    assert list(kept().iterdir()) == []


def test_a_fetch_says_how_far_it_is(stalling: tuple[GitServer, str]) -> None:
    server, sha = stalling
    uri, receiving = server.url("r"), threading.Event()

    class Watching(Heard):
        def __call__(self, text: str) -> None:
            super().__call__(text)
            if "receiving objects" in text:
                receiving.set()

    heard = Watching()
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(git.archive, uri, sha, report=heard)
        assert receiving.wait(30)
        server.go_on.set()
        assert unpacked(doing.result(60)) == {"data": random_bytes(500_000)}
    assert heard.lines[0] == f"fetching {uri}"
    assert all(re.fullmatch(rf"fetching {uri}: [a-z ]+ \d+ %", line) for line in heard.lines[1:])


def test_a_stopped_run_gives_its_fetch_up(stalling: tuple[GitServer, str]) -> None:
    server, sha = stalling
    heard = Heard()
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(git.archive, server.url("r"), sha, report=heard)
        assert server.stalled.wait(30)
        heard.stop()
        assert isinstance(doing.exception(30), RunStopped)
    assert list(kept().iterdir()) == []


def test_a_run_that_waits_for_anothers_fetch_can_be_stopped(
    stalling: tuple[GitServer, str],
) -> None:
    server, sha = stalling
    waiting = threading.Event()

    class Waiting(Heard):
        def __call__(self, text: str) -> None:
            waiting.set()

    first, second = Heard(), Waiting()
    with ThreadPoolExecutor(2) as pool:
        doing = pool.submit(git.archive, server.url("r"), sha, report=first)
        assert server.stalled.wait(30)
        idle = pool.submit(git.archive, server.url("r"), sha, report=second)
        assert waiting.wait(30)
        second.stop()
        assert isinstance(idle.exception(30), RunStopped)
        assert not doing.done()
        first.stop()
        assert isinstance(doing.exception(30), RunStopped)


def test_a_killed_fetch_leaves_nothing_behind(stalling: tuple[GitServer, str]) -> None:
    server, sha = stalling
    code = (
        "from jupyter_launch.sources import git\nfrom jupyter_launch.report import Silent\n"
        f"git.archive({server.url('r')!r}, {sha!r}, report=Silent())"
    )
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        assert server.stalled.wait(60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list(kept().glob("*.part"))
    assert not list(kept().glob("*.tar"))
    server.go_on.set()
    server.stall_after = None
    data = random_bytes(500_000)
    assert unpacked(git.archive(server.url("r"), sha, report=Silent())) == {"data": data}
    assert [path.suffix for path in kept().iterdir()] == [".tar"]


def test_what_other_killed_fetches_left_is_cleared(repos: Path) -> None:
    left = kept() / f"{'1' * 40}-{'2' * 16}-xyz_1.part"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    (kept() / f"{'3' * 40}-{'4' * 16}.lock").touch()
    sha = commit(repos / "other", {"main.py": ""})
    git.archive(str(repos / "other"), sha, report=Silent())
    assert [path.suffix for path in kept().iterdir()] == [".tar"]


# -- private repositories ----------------------------------------------------------------------


def test_a_private_repository_needs_a_login(server: GitServer, repos: Path) -> None:
    sha = commit(repos / "r", {"main.py": ""})
    server.login = f"x-access-token:{TOKEN}"
    with pytest.raises(SpecError, match="no credentials were accepted") as caught:
        git.resolve(server.url("r"), None)
    assert caught.value.field == "uri"
    assert "--git-token NAME" in caught.value.hint
    with pytest.raises(SourceUnavailable, match="no credentials were accepted"):
        git.archive(server.url("r"), sha, report=Silent())


@pytest.mark.parametrize("user", ["x-access-token", "someone"])
def test_a_token_lets_in_and_stays_unseen(
    user: str,
    server: GitServer,
    repos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sha = commit(repos / "r", {"data": random_bytes(500_000)})
    server.login = f"{user}:{TOKEN}"
    monkeypatch.setenv("MY_TOKEN", TOKEN if user == "x-access-token" else f"{user}:{TOKEN}")
    store = tmp_path / "gitconfig"
    store.write_text(f"[credential]\nhelper = store --file={tmp_path}/saved\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(store))
    uri, heard = server.url("r"), Heard()
    assert git.resolve(uri, None, "MY_TOKEN").commit == sha
    server.stall_after = 200_000
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(git.archive, uri, sha, token="MY_TOKEN", report=heard)
        assert server.stalled.wait(30)
        seen = [path.read_bytes() for path in kept().rglob("*") if path.is_file()]
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                seen.append(process.read_bytes())
        server.go_on.set()
        assert unpacked(doing.result(60)) == {"data": random_bytes(500_000)}
    seen += [path.read_bytes() for path in kept().rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in data for data in seen)
    assert TOKEN not in str(heard.lines)
    assert not (tmp_path / "saved").exists()


def test_a_token_that_is_refused_is_not_shown(
    server: GitServer, repos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = commit(repos / "r", {"main.py": ""})
    server.login = "x-access-token:another"
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    with pytest.raises(SpecError) as refused:
        git.resolve(server.url("r"), None, "MY_TOKEN")
    with pytest.raises(SourceUnavailable) as failed:
        git.archive(server.url("r"), sha, token="MY_TOKEN", report=Silent())
    assert TOKEN not in f"{refused.value}{failed.value}"
    with pytest.raises(SpecError, match="is not set") as unset:
        git.resolve(server.url("r"), None, "NO_SUCH_TOKEN")
    assert unset.value.field == "git_token"


def test_the_users_own_credential_helper_is_asked(
    server: GitServer, repos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repos / "r", {"main.py": "x"})
    server.login = f"me:{TOKEN}"
    saved = tmp_path / "saved"
    saved.write_text(server.url("").replace("://", f"://me:{TOKEN}@") + "\n")
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f"[credential]\nhelper = store --file={saved}\n"
        f'[url "{server.url("")}"]\ninsteadOf = https://code.example/\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert fetched("https://code.example/r") == {"main.py": b"x"}


def test_a_token_is_not_shown_to_the_host_of_a_submodule(
    server: GitServer, repos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far").mkdir()
    far = GitServer(tmp_path / "far")
    try:
        commit(tmp_path / "far/s", {"x": "far"})
        add_submodule(repos / "r", "s", tmp_path / "far/s", far.url("s"))
        server.login = f"x-access-token:{TOKEN}"
        monkeypatch.setenv("MY_TOKEN", TOKEN)
        assert fetched(server.url("r"), None, "MY_TOKEN")["s/x"] == b"far"
        far.login = server.login
        sha = commit(repos / "r", {"main.py": "2"})
        with pytest.raises(SourceUnavailable, match=r"submodule s: .*no credentials"):
            git.archive(server.url("r"), sha, token="MY_TOKEN", report=Silent())
    finally:
        far.close()


def test_ssh_is_the_users_own(repos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(repos / "r", {"main.py": "x"})
    ssh = tmp_path / "ssh-stand-in"
    ssh.write_text('#!/bin/sh\necho "$1" >> "$0.hosts"\nshift\nexec sh -c "$*"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    assert fetched(f"git@h.example:{repos}/r") == {"main.py": b"x"}
    assert fetched(f"ssh://me@g.example{repos}/r") == {"main.py": b"x"}
    hosts = Path(f"{ssh}.hosts").read_text().split()
    assert set(hosts) == {"git@h.example", "me@g.example"}


# -- submodules --------------------------------------------------------------------------------


def add_submodule(folder: Path, path: str, source: Path, url: str) -> str:
    """Add a submodule that is cloned from `source` and recorded as being at `url`."""
    if not folder.exists():
        commit(folder, {"main.py": "main"})
    run_git(folder, "submodule", "--quiet", "add", str(source), path)
    run_git(folder, "config", "-f", ".gitmodules", f"submodule.{path}.url", url)
    return commit(folder, {})


@pytest.mark.parametrize("old", [False, True])
def test_submodules_come_along(old: bool, server: GitServer, repos: Path) -> None:
    commit(repos / "inner", {"deep file": "inner"})
    add_submodule(repos / "middle", "in ner", repos / "inner", "../inner")
    pinned = add_submodule(repos / "r", "lib/middle", repos / "middle", server.url("middle"))
    commit(repos / "middle", {"main.py": "later"})
    server.old = old
    archive = git.archive(server.url("r"), pinned, report=Silent())
    files = unpacked(archive)
    del files[".gitmodules"], files["lib/middle/.gitmodules"]
    assert files == {
        "main.py": b"main",
        "lib/middle/main.py": b"main",
        "lib/middle/in ner/deep file": b"inner",
    }
    only = git.archive(f"{server.url('r')}#subdirectory=lib/middle/in ner", pinned, report=Silent())
    assert unpacked(only) == {"deep file": b"inner"}


def test_submodules_beside_the_subdirectory_are_not_fetched(server: GitServer, repos: Path) -> None:
    commit(repos / "s", {"x": ""})
    add_submodule(repos / "r", "s", repos / "s", "http://127.0.0.1:1/unreachable")
    sha = commit(repos / "r", {"app/main.py": "app"})
    archive = git.archive(f"{server.url('r')}#subdirectory=app", sha, report=Silent())
    assert unpacked(archive) == {"main.py": b"app"}
    with pytest.raises(SourceUnavailable, match=r"The submodule s: .*does not answer"):
        git.archive(server.url("r"), sha, report=Silent())


def test_a_clones_submodules_need_no_network(server: GitServer, repos: Path) -> None:
    commit(repos / "s", {"x": "sub"})
    add_submodule(repos / "r", "s", repos / "s", "../s")
    run_git(repos, "clone", "-q", "--recurse-submodules", server.url("r"), "clone")
    run_git(repos, "clone", "-q", server.url("r"), "bare-of-s")
    assert fetched(str(repos / "bare-of-s"))["s/x"] == b"sub"  # beside where it was cloned from
    server.close()
    assert fetched(str(repos / "clone"))["s/x"] == b"sub"


def test_a_remote_repository_brings_no_folder_of_this_machine(
    server: GitServer, repos: Path
) -> None:
    commit(repos / "s", {"x": "private"})
    sha = add_submodule(repos / "r", "s", repos / "s", str(repos / "s"))
    with pytest.raises(SpecError, match="folder of this machine"):
        git.archive(server.url("r"), sha, report=Silent())
    assert fetched(str(repos / "r"))["s/x"] == b"private"


def test_a_submodule_without_an_address_is_an_empty_folder(repos: Path) -> None:
    commit(repos / "r", {"main.py": ""})
    entry = f"160000,{'1' * 40},lost"
    run_git(repos / "r", "update-index", "--add", "--cacheinfo", entry)
    run_git(repos / "r", "commit", "-qm", "lost")
    sha, heard = run_git(repos / "r", "rev-parse", "HEAD"), Heard()
    archive = git.archive(str(repos / "r"), sha, report=heard)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getmember("lost").isdir()
    assert b"submodule lost has no address" in heard.log


def test_nothing_but_names_is_taken_for_a_commit_or_a_branch(repos: Path) -> None:
    sha = commit(repos / "r", {"main.py": ""})
    for wrong, ref in (
        ("main", None),
        (sha[:9], None),
        (f"-{sha}", None),
        (sha, "-x"),
        (sha, "a:b"),
    ):
        with pytest.raises(SpecError) as caught:
            git.archive(str(repos / "r"), wrong, ref=ref, report=Silent())
        assert caught.value.field == "version"


# -- files -------------------------------------------------------------------------------------


def test_files_keep_their_names_bits_and_links(repos: Path, tmp_path: Path) -> None:
    folder = repos / "r"
    files = {"-rf": "1", "sp ace": "2", "new\nline": "3", "größe": "4", "d/x": "5", "run.sh": "6"}
    commit(folder, dict(files))
    (folder / "run.sh").chmod(0o755)
    (folder / "d/file-link").symlink_to("../run.sh")
    (folder / "folder-link").symlink_to("d")
    (folder / "nowhere").symlink_to("none")
    Path(os.fsdecode(os.fsencode(folder) + b"/na\xffme")).write_text("7")
    sha = commit(folder, {})
    archive = git.archive(str(folder), sha, report=Silent())
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    out = tmp_path / "out"
    assert {name: (out / name).read_text() for name in files} == files
    assert Path(os.fsdecode(os.fsencode(out) + b"/na\xffme")).read_text() == "7"
    assert (out / "d/file-link").read_text() == "6"
    assert os.access(out / "d/file-link", os.X_OK)
    assert not os.access(out / "d/x", os.X_OK)
    assert (out / "folder-link").readlink() == Path("d")
    assert (out / "nowhere").is_symlink()
    assert not (out / ".git").exists()


@pytest.mark.docker
def test_any_name_arrives_in_a_container(repos: Path) -> None:
    folder = repos / "r"
    names = [b"-rf", b"sp ace", b"new\nline", "größe".encode(), b"na\xffme", b"d/" + b"x" * 200]
    for name in names:
        path = os.path.join(os.fsencode(folder), name)  # noqa: PTH118
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        Path(os.fsdecode(path)).write_bytes(name)
    (folder / "folder-link").symlink_to("d")
    sha = commit(folder, {})
    archive = git.archive(str(folder), sha, report=Silent())
    show = 'for file in /work/* /work/folder-link/*; do stat "$file" || exit; done'
    container = docker.from_env().containers.create(TINY, ["sh", "-c", show], working_dir="/work")
    try:
        container.put_archive("/work", archive)
        container.start()
        assert container.wait()["StatusCode"] == 0
        there = unpacked(b"".join(container.get_archive("/work")[0]))
    finally:
        container.remove(force=True)
    assert there == {os.fsdecode(b"work/" + name): name for name in names}


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "d/../../x", "up/../outside"])
def test_a_link_that_leaves_the_repository_is_refused(target: str, repos: Path) -> None:
    commit(repos / "r", {"d/x": ""})
    (repos / "r/up").symlink_to(".")
    (repos / "r/bad").symlink_to(target)
    sha = commit(repos / "r", {})
    with pytest.raises(SpecError, match=r"bad is a link to .*outside"):
        git.archive(str(repos / "r"), sha, report=Silent())


def test_one_folder_of_a_repository(repos: Path) -> None:
    commit(repos / "r", {"app/main.py": "app", "app/lib/y": "y", "apple": "", "shared/z": "z"})
    (repos / "r/app/link").symlink_to("../shared/z")
    sha = commit(repos / "r", {})
    uri = str(repos / "r")
    archive = git.archive(f"{uri}#subdirectory=app", sha, report=Silent())
    assert unpacked(archive) == {"main.py": b"app", "lib/y": b"y", "link": b"z"}
    with pytest.raises(SpecError, match="no folder 'ap'") as caught:
        git.archive(f"{uri}#subdirectory=ap", sha, report=Silent())
    assert caught.value.field == "uri"
    assert "app, shared" in caught.value.hint
    (repos / "r/app/all").symlink_to("../shared")
    sha = commit(repos / "r", {})
    with pytest.raises(SpecError, match="outside of the repository's folder 'app'"):
        git.archive(f"{uri}#subdirectory=app", sha, report=Silent())


def test_a_tree_that_multiplies_is_refused(
    server: GitServer, repos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_command, "MOST_BYTES", 1 << 20)
    commit(repos / "r", {"main.py": ""})
    blob = run_git(repos / "r", "hash-object", "-w", "--stdin", stdin=b"x")
    tree, kind, mode = blob, "blob", "100644"
    for _ in range(8):  # of 10 each: a hundred million files
        lines = "".join(f"{mode} {kind} {tree}\tf{i}\n" for i in range(10))
        tree = run_git(repos / "r", "mktree", stdin=lines.encode())
        kind, mode = "tree", "040000"
    sha = run_git(repos / "r", "commit-tree", tree, "-m", "bomb")
    run_git(repos / "r", "update-ref", "refs/heads/bomb", sha)
    with pytest.raises(SourceUnavailable, match="lists more than 1 MiB"):
        git.archive(server.url("r"), sha, report=Silent())


def test_a_data_folder_that_cannot_be_used_is_told(repos: Path) -> None:
    sha = commit(repos / "r", {"main.py": ""})
    kept().parent.mkdir(parents=True)
    kept().touch()
    with pytest.raises(SourceUnavailable, match="cannot be used") as caught:
        git.archive(str(repos / "r"), sha, report=Silent())
    assert caught.value.hint


def test_a_replaced_commit_is_the_one_it_was(repos: Path) -> None:
    first = commit(repos / "r", {"main.py": "1"})
    second = commit(repos / "r", {"main.py": "2"})
    run_git(repos / "r", "replace", first, second)
    assert fetched(str(repos / "r"), first) == {"main.py": b"1"}


def test_gits_variables_of_another_repository_do_not_count(
    repos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repos / "r", {"main.py": "r"})
    commit(repos / "other", {"main.py": "other"})
    monkeypatch.setenv("GIT_DIR", str(repos / "other/.git"))  # as while a hook of it runs
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "me")
    found = git.resolve(str(repos / "r"), None)
    archive = git.archive(found.uri, found.commit, report=Silent())
    assert unpacked(archive) == {"main.py": b"r"}


@pytest.mark.parametrize("name", ["..", ".git", ".GIT", "."])
def test_a_name_that_no_checkout_may_write_is_refused(
    name: str, server: GitServer, repos: Path
) -> None:
    commit(repos / "r", {"main.py": ""})
    blob = run_git(repos / "r", "hash-object", "-w", "--stdin", stdin=b"x")
    inner = f"100644 blob {blob}\thead\n".encode()
    folder = run_git(repos / "r", "mktree", stdin=inner)
    raw = b"40000 " + name.encode() + b"\0" + bytes.fromhex(folder)
    words = ("hash-object", "-w", "-t", "tree", "--literally", "--stdin")
    tree = run_git(repos / "r", *words, stdin=raw)
    sha = run_git(repos / "r", "commit-tree", tree, "-m", "bad")
    run_git(repos / "r", "update-ref", "refs/heads/bad", sha)
    with pytest.raises(SpecError, match="no checkout may write"):
        git.archive(server.url("r"), sha, report=Silent())


def test_a_commit_over_the_limit_is_refused(repos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_tree, "LIMIT_BYTES", 100_000)
    sha = commit(repos / "r", {"big": bytes(200_000), "small/x": "x"})
    with pytest.raises(SpecError, match=r"over the limit.*big") as caught:
        git.archive(str(repos / "r"), sha, report=Silent())
    assert "#subdirectory=" in caught.value.hint
    archive = git.archive(f"{repos}/r#subdirectory=small", sha, report=Silent())
    assert unpacked(archive) == {"x": b"x"}
    assert len(list(kept().iterdir())) == 1
