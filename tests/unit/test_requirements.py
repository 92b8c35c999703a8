"""Requirements: what is read, what it becomes, and what is refused, with the reason."""

from __future__ import annotations

import contextlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from jupyter_launch.builds.requirements import Dependencies, declared, read_requirements
from jupyter_launch.errors import SpecError


def tar(**files: str | bytes) -> bytes:
    """Pack files; two underscores in a name stand for a dot."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(name.replace("__", ".").replace("___", "/"))
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def asked(archive: bytes) -> str:
    found = declared(archive)
    assert found is not None
    return found.files["requirements.txt"].decode()


def refused(*words: str) -> str:
    with pytest.raises(SpecError) as caught:
        read_requirements(words)
    assert caught.value.field == "requirements"
    return str(caught.value)


# -- the words of --requirements ---------------------------------------------------------------


def test_words_are_requirements() -> None:
    words = ("six", "numpy>=1.2,<3", 'tomli ; python_version < "3.11"', "rich[jupyter]")
    assert read_requirements(words) == words


def test_what_is_said_twice_counts_once() -> None:
    assert read_requirements(("six", "six", "attrs")) == ("six", "attrs")


def test_a_file_is_read_with_comments_continuations_and_those_it_names() -> None:
    Path("sub").mkdir()
    Path("wanted.txt").write_text(
        "# ours\nsix  # for old code\n\n-r sub/more.txt\nattrs>=1, \\\n  <99\n--pre\n", "utf-8-sig"
    )
    Path("sub/more.txt").write_text("rich\n-c limits.txt\nidna #egg=x\n")
    Path("sub/limits.txt").write_text("--index-url https://index.test/simple\nmarkdown<4\n")
    assert read_requirements(("wanted.txt",)) == (
        "six",
        "rich",
        "-c markdown<4",
        "idna",
        "attrs>=1,   <99",
        "--pre",
    )


def test_hashes_are_kept() -> None:
    line = f"six==1.16.0 --hash=sha256:{'a' * 64} --hash=sha512:{'b' * 128}"
    Path("locked.txt").write_text(line.replace(" --", " \\\n    --"))
    (read,) = read_requirements(("locked.txt",))
    assert read.split() == line.split()


def test_index_options_are_kept_and_spelled_out() -> None:
    Path("r.txt").write_text("-i https://a.test/simple\n--extra-index-url=https://b.test/s\nsix\n")
    assert read_requirements(("r.txt", "--only-binary :all:")) == (
        "--index-url https://a.test/simple",
        "--extra-index-url https://b.test/s",
        "six",
        "--only-binary :all:",
    )


def test_addresses_are_requirements_too() -> None:
    words = (
        "https://files.test/six-1.0-py3-none-any.whl",
        "git+https://git.test/x.git@abc",
        "six @ https://files.test/six.whl",
        "git+ssh://git@git.test/x.git",
    )
    assert read_requirements(words) == words


NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9]{0,8}\Z")
VERSIONS = st.from_regex(r"\A(==|>=|<|~=|!=)[0-9]{1,3}\.[0-9]{1,3}\Z")
EXTRAS = st.lists(NAMES, max_size=2).map(lambda some: f"[{','.join(some)}]" if some else "")
MARKERS = st.sampled_from(["", " ; python_version >= '3.10'", " ; sys_platform == 'win32'"])
REQUIREMENTS = st.builds("{}{}{}{}".format, NAMES, EXTRAS, VERSIONS, MARKERS)
LINES = REQUIREMENTS | REQUIREMENTS.map("-c {}".format) | st.just("--pre")


@given(st.lists(LINES, max_size=6))
def test_what_was_read_reads_the_same_again(words: list[str]) -> None:
    once = read_requirements(words)
    assert read_requirements(once) == once
    for line in once:
        if not line.startswith("-"):
            Requirement(line)


@given(st.text(max_size=40))
def test_any_word_is_read_or_refused(word: str) -> None:
    with contextlib.suppress(SpecError):
        read_requirements((word,))


# -- what is refused ---------------------------------------------------------------------------


def test_a_broken_line_is_named_with_its_file_and_number() -> None:
    Path("wanted.txt").write_text("six\n\nnumpy >>= 3\n")
    said = refused("wanted.txt")
    assert said.startswith("wanted.txt, line 3: 'numpy >>= 3': expected")


def test_a_broken_line_in_a_file_that_is_named_by_another_names_the_inner_one() -> None:
    Path("wanted.txt").write_text("-r inner.txt\n")
    Path("inner.txt").write_text("six=1\n")
    assert refused("wanted.txt").startswith("inner.txt, line 1: 'six=1'")


def test_a_broken_word_is_named() -> None:
    assert refused("six", "not a package").startswith("The requirement 'not a package': expected")


@pytest.mark.parametrize("line", ["./pkg", "-e .", "--editable src/x", "../x", "dist/a-1.whl"])
def test_what_only_this_machine_has_is_refused(line: str) -> None:
    Path("r.txt").write_text(line)
    assert "A build has none of this machine's files" in refused("r.txt")


@pytest.mark.parametrize("word", ["x @ file:///tmp/x.whl", "file:///tmp/x", "--find-links /tmp/x"])
def test_addresses_of_this_machines_files_are_refused(word: str) -> None:
    assert "A build has none of this machine's files" in refused(word)


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://ada:hunter22@index.test/simple",
        "x @ https://hunter22@files.test/x.whl",
        "git+https://ada:hunter22@git.test/x",
        "git+ssh://ada:hunter22@git.test/x",
    ],
)
def test_credentials_are_refused_and_not_repeated(line: str) -> None:
    Path("r.txt").write_text(f"six\n{line}\n")
    said = refused("r.txt")
    assert said.startswith("r.txt, line 2: its address holds a user or a password")
    assert "build.inherit_pip_config" in said
    assert "hunter22" not in said + refused(line)


def test_a_variable_of_the_submitters_is_refused() -> None:
    Path("r.txt").write_text("--index-url https://index.test/${TOKEN}/simple\n")
    assert "a build knows no variable ${TOKEN}" in refused("r.txt")


@pytest.mark.parametrize("line", ["--target /x", "six --global-option=x", "--use-feature=x"])
def test_other_options_are_refused(line: str) -> None:
    Path("r.txt").write_text(line)
    assert "r.txt, line 1" in refused("r.txt")


def test_files_that_name_each_other_are_refused() -> None:
    Path("a.txt").write_text("-r b.txt\n")
    Path("b.txt").write_text("-r a.txt\n")
    assert "name each other" in refused("a.txt")


def test_a_file_that_is_not_there_is_refused() -> None:
    assert "'none.txt' cannot be read: No such file" in refused("none.txt")


def test_a_file_that_is_no_text_is_refused() -> None:
    Path("r.txt").write_bytes(b"six\n\xff\xfe\n")
    assert "r.txt is not UTF-8 text" in refused("r.txt")


# -- what a source's own files ask for ---------------------------------------------------------


def test_a_source_without_such_files_asks_for_nothing() -> None:
    assert declared(None) is None
    assert declared(tar(main__py="")) is None
    assert declared(tar(requirements__txt="# nothing\n--pre\n")) is None
    assert declared(tar(pyproject__toml="[tool.ruff]\n")) is None
    assert declared(tar(pyproject__toml="[project]\ndependencies = []\n")) is None


def test_requirements_txt_comes_first() -> None:
    files = {"requirements__txt": "six\n", "uv__lock": "broken", "environment__yml": "x"}
    assert asked(tar(**files)) == "six\n"


def test_files_beside_requirements_txt_are_followed() -> None:
    found = declared(tar(requirements__txt="-r base.txt\n-c limits.txt\n", base__txt="six",
                         limits__txt="six<2"))  # fmt: skip
    assert found is not None
    assert found.files == {
        "requirements.txt": b"six\n-c constraints.txt\n",
        "constraints.txt": b"six<2\n",
    }


def test_a_file_outside_of_the_source_is_not_there() -> None:
    with pytest.raises(SpecError, match=r"'\.\./x\.txt' cannot be read"):
        declared(tar(requirements__txt="-r ../x.txt\n"))


def test_a_projects_dependencies_are_taken() -> None:
    text = '[project]\nname = "x"\ndependencies = ["six>=1", "rich; python_version > \'3\'"]\n'
    assert asked(tar(pyproject__toml=text)) == "six>=1\nrich; python_version > '3'\n"


def test_dependencies_that_setuptools_reads_from_a_file_are_taken() -> None:
    text = '[project]\ndynamic = ["dependencies"]\n'
    text += '[tool.setuptools.dynamic]\ndependencies = {file = ["deps.in"]}\n'
    assert asked(tar(pyproject__toml=text, deps__in="six\n")) == "six\n"


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"environment__yml": "name: x"}, "conda"),
        ({"environment__yaml": "name: x"}, "conda"),
        ({"pyproject__toml": '[project]\ndynamic = ["dependencies"]'}, "build system"),
        ({"pyproject__toml": '[tool.poetry.dependencies]\nsix = "*"'}, "Poetry"),
        ({"pyproject__toml": "[project"}, "pyproject.toml is broken"),
        ({"pyproject__toml": '[project]\ndependencies = ["six=1"]'}, "'six=1'"),
        ({"uv__lock": "version = 9"}, "version 9"),
    ],
)
def test_what_cannot_be_followed_says_so(files: dict[str, str], why: str) -> None:
    with pytest.raises(SpecError, match=why) as caught:
        declared(tar(**files))
    assert caught.value.field == "requirements"


def test_equal_dependencies_have_equal_contexts() -> None:
    one = Dependencies.from_lines(["six", "-c six<2"])
    other = Dependencies.from_lines(["six", "-c six<2"])
    assert one.context() == other.context()
    assert one.context() != Dependencies.from_lines(["six"]).context()


# -- uv.lock -----------------------------------------------------------------------------------

LOCK = """
version = 1
requires-python = ">=3.10"
[[package]]
name = "app"
version = "0.1"
source = { virtual = "." }
dependencies = [
  { name = "a" },
  { name = "b", extra = ["fast"], marker = "sys_platform == 'linux'" },
]
[package.dev-dependencies]
dev = [{ name = "unwanted" }]
[[package]]
name = "a"
version = "1"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "c", version = "2", marker = "python_version >= '3.12'" },
                { name = "c", version = "1", marker = "python_version < '3.12'" }]
sdist = { url = "https://x/a.tar.gz", hash = "sha256:aa" }
[[package]]
name = "b"
version = "1"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "a" }]
wheels = [{ url = "https://x/b.whl", hash = "sha256:bb" }]
[package.optional-dependencies]
fast = [{ name = "d" }]
[[package]]
name = "c"
version = "1"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/c.whl", hash = "sha256:c1" }]
[[package]]
name = "c"
version = "2"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/c.whl", hash = "sha256:c2" }]
[[package]]
name = "d"
version = "3"
source = { registry = "https://other.test/simple" }
wheels = [{ url = "https://x/d.whl", hash = "sha256:dd" }, { url = "x", hash = "sha256:d0" }]
dependencies = [{ name = "b", marker = "os_name == 'nt'" }]
[[package]]
name = "unwanted"
version = "9"
source = { registry = "https://pypi.org/simple" }
"""


def test_a_lock_is_followed_with_its_markers_extras_and_hashes() -> None:
    assert asked(tar(uv__lock=LOCK)).splitlines() == [
        "--extra-index-url https://other.test/simple",
        "a==1 --hash=sha256:aa",
        "b==1 ; ((sys_platform == 'linux')) --hash=sha256:bb",
        "c==1 ; ((python_version < '3.12')) --hash=sha256:c1",
        "c==2 ; ((python_version >= '3.12')) --hash=sha256:c2",
        "d==3 ; ((sys_platform == 'linux')) --hash=sha256:d0 --hash=sha256:dd",
    ]


def test_a_lock_installs_all_it_names_and_nothing_else() -> None:
    found = declared(tar(uv__lock=LOCK))
    assert found is not None
    assert found.kind == "uv"
    for line in asked(tar(uv__lock=LOCK)).splitlines()[1:]:
        Requirement(line.partition(" --hash")[0])


def test_a_commit_in_a_lock_is_kept_and_then_nothing_is_hashed() -> None:
    git = '{ git = "https://git.test/d?subdirectory=x&rev=main#abc123" }'
    text = LOCK.replace('{ registry = "https://other.test/simple" }', git)
    lines = asked(tar(uv__lock=text)).splitlines()
    assert lines[-1].startswith("d @ git+https://git.test/d@abc123#subdirectory=x ; ")
    assert "hash" not in " ".join(lines)


def test_a_folder_in_a_lock_is_refused() -> None:
    text = LOCK.replace('{ registry = "https://other.test/simple" }', '{ editable = "../d" }')
    with pytest.raises(SpecError, match=r"takes 'd' from a folder of this machine"):
        declared(tar(uv__lock=text))
