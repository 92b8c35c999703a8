"""What a repository's address, its branches and its links mean, without any repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.errors import LaunchError, SpecError, Unsupported
from jupyter_launch.sources import git_refs, git_uri
from jupyter_launch.sources.git_command import Git
from jupyter_launch.sources.git_links import follow
from jupyter_launch.sources.git_login import login
from jupyter_launch.sources.git_trouble import translated

A, B, C = "a" * 40, "b" * 40, "c" * 40
LISTING = f"""\
ref: refs/heads/trunk\tHEAD
{A}\tHEAD
{A}\trefs/heads/trunk
{B}\trefs/heads/feature/x
{B}\trefs/heads/both
{A}\trefs/pull/1/head
{B}\trefs/tags/v1.0
{C}\trefs/tags/v1.0^{{}}
{C}\trefs/tags/both
""".encode()


# -- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "address", "local"),
    [
        ("https://h.example/o/r.git", "https://h.example/o/r.git", False),
        ("http://h.example:8080/r", "http://h.example:8080/r", False),
        ("ssh://git@h.example:22/o/r", "ssh://git@h.example:22/o/r", False),
        ("git@h.example:o/r.git", "git@h.example:o/r.git", False),
        ("h.example:r", "h.example:r", False),
        ("file:///srv/my%20repo", "/srv/my repo", True),
        ("/srv/repo", "/srv/repo", True),
        ("/srv/a:b", "/srv/a:b", True),
    ],
)
def test_every_documented_form_is_understood(uri: str, address: str, local: bool) -> None:
    found = git_uri.parse(uri)
    assert (found.address, found.local, found.uri) == (address, local, uri)
    assert git_uri.is_local(uri) is local
    assert found.subdirectory == ""


def test_local_paths_become_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_uri.parse("repo").uri == str(Path.cwd() / "repo")
    assert git_uri.parse("~no-such-user/x").uri == str(Path.cwd() / "~no-such-user/x")
    assert not git_uri.is_repository("~no-such-user")
    monkeypatch.setenv("HOME", "/home/me")
    assert git_uri.parse("~/repo#subdirectory=x").uri == "/home/me/repo#subdirectory=x"


@pytest.mark.parametrize("base", ["https://h.example/r", "git@h.example:r", "/srv/r"])
@pytest.mark.parametrize(
    ("fragment", "folder"), [("a/b", "a/b"), ("a/", "a"), ("./a", "a"), ("a%20b", "a b")]
)
def test_a_subdirectory_is_taken_off_and_recorded(base: str, fragment: str, folder: str) -> None:
    found = git_uri.parse(f"{base}#subdirectory={fragment}")
    assert (found.address, found.subdirectory) == (base, folder)
    assert found.uri == f"{base}#subdirectory={fragment}"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        " ",
        "-oProxyCommand=x",
        "--upload-pack=x",
        "ext::sh -c id",
        "fd::17",
        "https::https://h.example/r",
        "ftp://h.example/r",
        "git+https://h.example/r",
        "https://h.example/r\nx",
        "https://h.example/r?private_token=s3cr3t",
        "https://h.example/r#egg=x",
        "https:///r",
        "https://h.example:port/r",
        "ssh://-oProxyCommand=x/r",
        "file://other.example/r",
        "file:///srv/%00",
        "file://",
        "/srv/\udcff",
        "/srv/r#subdirectory=",
        "/srv/r#subdirectory=../x",
        "/srv/r#subdirectory=a/../../x",
        "/srv/r#subdirectory=/etc",
        "/srv/r#subdirectory=%2e%2e/x",
    ],
)
def test_what_git_must_not_be_given_is_refused(uri: str) -> None:
    with pytest.raises(SpecError) as caught:
        git_uri.parse(uri)
    assert caught.value.field == "uri"
    assert caught.value.hint
    assert "s3cr3t" not in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:s3cr3t@h.example/r",
        "https://s3cr3t@h.example/r",
        "http://:s3cr3t@h.example/r",
        "ssh://git:s3cr3t@h.example/r",
        "https://s3cr3t@h.example/entity/project/runs/1",
        "me:s3cr3t@h.example:r",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(SpecError) as caught:
        git_uri.parse(uri)
    assert caught.value.field == "uri"
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("host", ["https://wandb.ai", "http://wandb.example:8080"])
def test_the_page_of_a_wandb_run_is_refused_with_a_way_out(host: str) -> None:
    for tail in ("", "/", "/overview"):
        with pytest.raises(Unsupported) as caught:
            git_uri.parse(f"{host}/entity/project/runs/1a2b3c{tail}")
        assert "-u" in caught.value.hint
        assert "-d" in caught.value.hint


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = git_uri.parse(text)
    except LaunchError:
        return
    assert not found.address.startswith("-")
    assert not found.local or found.address.startswith("/")
    again = git_uri.parse(found.uri)
    assert again._replace(uri="") == found._replace(uri="")


def test_only_the_top_of_a_repository_is_one(tmp_path: Path) -> None:
    for name in ("work/.git", "bare/objects", "bare/refs", "plain/refs", "gone"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "bare/HEAD").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/.git").write_text("gitdir: elsewhere")
    found = {path.name for path in tmp_path.iterdir() if git_uri.is_repository(str(path))}
    assert found == {"work", "bare", "tree"}


# -- submodules' addresses ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parent", "url", "address"),
    [
        ("https://h.example/o/r.git", "../s.git", "https://h.example/o/s.git"),
        ("https://h.example/o/r/", "../../p/s", "https://h.example/p/s"),
        ("https://h.example/o/r", "./s", "https://h.example/o/r/s"),
        ("git@h.example:o/r", "../s", "git@h.example:o/s"),
        ("git@h.example:r", "../s", "git@h.example:s"),
        ("/srv/o/r", "../s", "/srv/o/s"),
        ("/srv/o/r", "https://h.example/s", "https://h.example/s"),
        ("https://h.example/r", "https://user:pw@g.example/s", "https://g.example/s"),
    ],
)
def test_a_submodule_is_found_from_its_parent(parent: str, url: str, address: str) -> None:
    assert git_uri.submodule(url, "s", git_uri.parse(parent)).address == address


@pytest.mark.parametrize(
    "url", ["/etc", "file:///etc", "ext::sh -c id", "-x", "../../../../../etc", "~/x", "etc"]
)
def test_a_remote_submodule_does_not_reach_this_machine(url: str) -> None:
    with pytest.raises(SpecError, match="submodule 's'"):
        git_uri.submodule(url, "s", git_uri.parse("https://h.example/o/r"))


# -- branches and tags -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("trunk", (A, "trunk")),
        ("feature/x", (B, "feature/x")),
        ("v1.0", (C, "v1.0")),
        ("both", (B, "both")),
        ("refs/tags/both", (C, "both")),
        ("refs/pull/1/head", (A, "refs/pull/1/head")),
        ("1.0", None),
        ("x", None),
    ],
)
def test_a_version_names_a_branch_or_a_tag(version: str, found: object) -> None:
    assert git_refs.parse(LISTING).find(version) == found


def test_the_default_branch_may_have_any_name() -> None:
    assert git_refs.parse(LISTING).default() == (A, "trunk")
    assert git_refs.parse(f"{A}\tHEAD\n".encode()).default() == (A, None)
    assert git_refs.parse(b"").default() is None


def test_an_unknown_version_gets_names_like_it() -> None:
    error = git_refs.unknown("repo", "trnk", git_refs.parse(LISTING))
    assert error.field == "version"
    assert "Did you mean trunk?" in error.hint
    assert "v1.0" in error.hint


@pytest.mark.parametrize(
    "version",
    ["", "-x", "--upload-pack=x", "a b", "a..b", "a:b", "HEAD~1", "a^{}", "@{1}", "a\n", "x.lock"],
)
def test_what_is_no_name_in_git_is_refused(version: str) -> None:
    with pytest.raises(SpecError) as caught:
        git_refs.check(version)
    assert caught.value.field == "version"


# -- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("links", "target"),
    [
        ({"a/l": "../b"}, "b"),
        ({"a/l": "./x/../y"}, "a/y"),
        ({"a/l": "/etc"}, None),
        ({"a/l": "../../etc"}, None),
        ({"a/l": "../../r/b"}, None),
        ({"a/l": "m", "a/m": "../b"}, "b"),
        ({"a/l": "d/../../x", "a/d": "e/f"}, "a/x"),
        ({"a/l": "d/../../../x", "a/d": "../c"}, None),
        ({"a/l": "l"}, "a/l"),
        ({"a/l": "m", "a/m": "l"}, "a/l"),
        ({"a/l": "/etc", "b": "a/l"}, None),
        ({"a/l": "."}, "a"),
        ({"a/l": ".."}, ""),
    ],
)
def test_a_link_is_followed_within_the_tree(links: dict[str, str], target: str | None) -> None:
    assert follow(links, "a/l") == target


PARTS = st.sampled_from(["a", "b", "c", "..", "."])
PATHS = st.lists(PARTS, min_size=1, max_size=5).map("/".join)
NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(NAMES, PATHS, min_size=1, max_size=4))
def test_a_link_goes_where_the_system_says(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str]
) -> None:
    names = sorted(links)
    if any(
        f"{other}/".startswith(f"{name}/") for name in names for other in names if other != name
    ):
        return  # a file and a folder of one name
    top = tmp_path_factory.mktemp("tree").resolve() / "top"
    for name, target in links.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    for name in names:
        found = follow(links, name)
        try:
            there = (top / name).resolve(strict=True)
        except (OSError, RuntimeError):
            continue  # it leads nowhere; where the system gives up is its own affair
        if found is None:
            assert not there.is_relative_to(top)
        else:
            assert there == (top / found).resolve()


# -- git itself --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("fatal: unable to access 'x': Could not resolve host: h", "host is not known"),
        ("ssh: connect to host h port 22: Connection refused", "does not answer"),
        ("fatal: could not read Username for 'https://h': terminal", "credentials"),
        ("git@h: Permission denied (publickey).\nfatal: Could not read", "credentials"),
        ("remote: Not Found\nfatal: repository 'https://h/r/' not found", "no such repository"),
        ("fatal: '/x' does not appear to be a git repository", "no such repository"),
        ("Host key verification failed.", "known to ssh"),
        ("fatal: detected dubious ownership in repository at '/x'", "another user"),
        ("error: 1\nfatal: write error: No space left on device", "disk is full"),
        ("fatal: something nobody has seen", "something nobody has seen"),
        ("", "no reason"),
    ],
)
def test_gits_complaints_are_put_in_words(said: str, told: str) -> None:
    error = translated("https://h/r", "", said)
    assert told in error.message
    assert error.message.startswith("https://h/r could not be read")


def test_what_git_says_has_no_secrets_and_no_escapes() -> None:
    said = "fatal: https://me:pw@h/r t0ken \x1b[31mred\x07"
    error = translated("x", "t0ken", said)
    text = f"{error}{error.said}"
    assert not [secret for secret in ("pw", "t0ken", "\x1b", "\x07") if secret in text]


def test_without_git_there_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="git is not installed"):
        Git("x").run("--version")


# -- tokens ------------------------------------------------------------------------------------


def test_a_token_is_for_its_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "t0ken")
    made = login(git_uri.parse("https://h.example/r"), "MY_TOKEN")
    assert all(key.startswith("credential.https://h.example.") for key, _ in made.settings)
    assert "t0ken" not in str(made.settings) + repr(made)
    assert made.settings[0][1] == ""
    assert "password=t0ken" in "".join(made.env.values())


@pytest.mark.parametrize(
    ("uri", "value"),
    [
        ("https://h.example/r", ""),
        ("https://h.example/r", "a\nb"),
        ("http://h.example/r", "t0ken"),
        ("git@h.example:r", "t0ken"),
        ("/srv/r", "t0ken"),
    ],
)
def test_a_token_that_could_not_be_used_is_refused(
    uri: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", value)
    with pytest.raises(SpecError) as caught:
        login(git_uri.parse(uri), "MY_TOKEN")
    assert caught.value.field == "git_token"
    assert caught.value.hint
