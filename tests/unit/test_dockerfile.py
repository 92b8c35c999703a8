"""The text of Dockerfiles, and what is read from those of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.builds.dockerfile import (
    bases,
    copies_context,
    generated,
    has_command,
    instructions,
)
from jupyter_launch.builds.push import check_repository
from jupyter_launch.builds.requirements import Dependencies
from jupyter_launch.errors import SpecError

SIX = Dependencies.from_lines(["six"])


def test_the_generated_one_installs_on_its_base() -> None:
    text = generated("python:3.11-slim", SIX, inherit_pip_config=False)
    first, copy, run = instructions(text)
    assert (first.name, first.text) == ("FROM", "python:3.11-slim")
    assert copy.text.split()[:-1] == ["requirements.txt"]
    assert run.text.endswith(f"python3 -m pip install -r {copy.text.split()[-1]}requirements.txt")
    assert run.flags == ()


def test_settings_come_as_secrets_that_any_user_may_read() -> None:
    run = list(instructions(generated("x", SIX, inherit_pip_config=True)))[-1]
    assert run.flags
    assert all(flag.startswith("--mount=type=secret,") for flag in run.flags)
    assert all(flag.endswith("mode=0444") for flag in run.flags)


def test_a_lock_is_installed_as_it_is() -> None:
    lock = Dependencies(SIX.files, "uv")
    assert "--no-deps" in generated("x", lock, inherit_pip_config=False)
    assert "--no-deps" not in generated("x", SIX, inherit_pip_config=False)


@pytest.mark.parametrize("base", ["", "a b", "x\nRUN evil", "$X", "-x", "ä", "a@@\t"])
def test_what_is_no_name_of_an_image_gets_no_dockerfile(base: str) -> None:
    with pytest.raises(SpecError, match="cannot be the name of an image"):
        generated(base, SIX, inherit_pip_config=False)


def test_comments_continuations_and_here_documents_are_understood() -> None:
    text = (
        "# syntax=docker/dockerfile:1\n"
        "FROM a AS b\n"
        "run one \\\n  # in between\n\n  two <<EOF <<-'END'\nCMD x\nEOF\nCOPY y z\nEND\n"
        "RUN echo $((1<<N)) <<<EOF\n"
        '  cmd ["x"]'
    )
    found = [(one.name, one.text) for one in instructions(text)]
    assert found == [
        ("FROM", "a AS b"),
        ("RUN", "one  two <<EOF <<-'END'"),
        ("RUN", "echo $((1<<N)) <<<EOF"),
        ("CMD", '["x"]'),
    ]


def test_another_escape_character_is_understood() -> None:
    text = "# escape=`\nFROM a\nRUN x `\n  y\nRUN c:\\\nCMD z\n"
    assert [one.name for one in instructions(text)] == ["FROM", "RUN", "RUN", "CMD"]


@pytest.mark.parametrize(
    ("line", "takes"),
    [
        ("COPY . /app", True),
        ("copy --chown=1 a b /app/", True),
        ("ADD x.tar /", True),
        ("ADD https://files.test/x /x", False),
        ("COPY --from=build /x /x", False),
        ("COPY <<EOF /x\nCOPY a b\nEOF", False),
        ("RUN --mount=type=bind,target=/src make", True),
        ("RUN --mount=target=/src make", True),
        ("RUN --mount=type=bind,from=build,target=/src make", False),
        ("RUN --mount=type=secret,id=x --mount=type=cache,target=/c make", False),
        ("RUN echo COPY . /app", False),
        ("# COPY . /app", False),
    ],
)
def test_whether_files_are_taken_from_the_context(line: str, *, takes: bool) -> None:
    assert copies_context(f"FROM a\n{line}\nRUN x\n") is takes


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("FROM a\nCMD x", True),
        ("FROM a\nENTRYPOINT x", True),
        ("FROM a\nRUN x", False),
        ("FROM a\nCMD x\nFROM b\n", False),
        ("FROM a\nRUN <<EOF\nCMD x\nEOF\n", False),
    ],
)
def test_whether_it_names_a_program(text: str, *, has: bool) -> None:
    assert has_command(text) is has


def test_the_images_it_builds_on_are_found() -> None:
    text = (
        "ARG TAG=3.11\nARG NONE\nFROM --platform=linux/amd64 python:${TAG}-slim AS one\n"
        "FROM scratch\nFROM one AS two\nFROM base:${NONE}\nFROM x:${OTHER:-5}\n"
        "COPY --from=two /a /a\nCOPY --from=0 /a /a\nCOPY --from=tools:1 /a /a\n"
        "RUN --mount=type=bind,from=more,target=/x y\n"
    )
    assert bases(text) == ("python:3.11-slim", "x:5", "tools:1", "more")


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    list(instructions(text))
    bases(text)
    has_command(text)
    copies_context(text)


@pytest.mark.parametrize(
    "name",
    ["x", "team/x", "localhost:5000/team/x_y", "registry.test/a/b-c.d", "[::1]:5000/x", "Host:1/x"],
)
def test_names_of_repositories(name: str) -> None:
    check_repository(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("", "like"),
        ("Team/x", "small letters"),
        ("https://r.test/x", "scheme"),
        ("r.test/x:v1", "tag"),
        ("r.test:5000/x@sha256:00", "tag"),
        ("-x", "like"),
        ("a b", "like"),
        ("r.test:port/x", "like"),
    ],
)
def test_what_is_no_repository_says_what_one_is_like(name: str, hint: str) -> None:
    with pytest.raises(SpecError, match=hint) as caught:
        check_repository(name)
    assert caught.value.field == "repository"
