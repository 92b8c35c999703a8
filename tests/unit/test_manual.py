"""Manual pages: every option stands there, and every example means something."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from jupyter_launch.config import NAMES
from jupyter_launch.errors import SpecError
from jupyter_launch.frontends import options, request
from jupyter_launch.frontends.line_parsers import parser
from jupyter_launch.frontends.magics import NAMES as MAGICS
from jupyter_launch.frontends.manual import GROUPS, REST, page
from jupyter_launch.frontends.manual_texts import TEXTS
from jupyter_launch.frontends.values import split
from jupyter_launch.sources.base import InMemory

EXAMPLES = [
    pytest.param(verb, code, id=f"{verb}-{number}")
    for verb, text in TEXTS.items()
    for number, (_, code) in enumerate(text.examples)
]


def sections(verb: str) -> dict[str, str]:
    """Split a page at its headings."""
    found: dict[str, str] = {}
    head = ""
    for line in page(verb, parser(verb)).splitlines():
        if line and line == line.upper() and not line.startswith((" ", "%")):
            head = line
        found[head] = f"{found.get(head, '')}{line}\n"
    return found


def test_every_magic_has_a_page() -> None:
    assert list(TEXTS) == list(MAGICS)


@pytest.mark.parametrize("verb", TEXTS)
def test_a_page_has_the_parts_of_a_manual_page(verb: str) -> None:
    parts = sections(verb)
    assert parts[""].startswith(f"%{verb} - ")
    assert list(parts)[1:3] == ["SYNOPSIS", "DESCRIPTION"]
    assert list(parts)[-2:] == ["EXAMPLES", "SEE ALSO"]
    assert f"%{verb}" in parts["SYNOPSIS"]


@pytest.mark.parametrize("verb", TEXTS)
def test_every_option_stands_on_the_page_with_its_help(verb: str) -> None:
    words = " ".join(page(verb, parser(verb)).split())
    for action in parser(verb)._actions:
        assert ", ".join(action.option_strings) in words
        assert " ".join(str(action.help).split()) in words


@pytest.mark.parametrize("verb", TEXTS)
def test_lines_fit_into_a_terminal(verb: str) -> None:
    own = page(verb, parser(verb)).partition("\nDEFAULTS\n")
    assert [line for line in own[0].splitlines() if len(line) > 100] == []


def test_options_stand_in_groups() -> None:
    places = [place for members in GROUPS.values() for place in members]
    assert len(places) == len(set(places))
    parts = sections("launch")
    assert "--docker-image" in parts["WHAT TO RUN"]
    assert "--secret" in parts["WITH WHAT"]
    assert "--queue" in parts["WHERE"]
    assert "--wait, --no-wait" in parts[REST]


def test_defaults_are_shown_with_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_QUEUE", "gpu")
    monkeypatch.setenv("JUPYTER_LAUNCH_PROJECT", "weather")
    text = page("launch", parser("launch"), {"project": "climate"})
    words = " ".join(text.split())
    assert "queue gpu JUPYTER_LAUNCH_QUEUE" in words
    assert "project climate %config LaunchMagics" in words
    assert "resource auto default" in words


def test_a_password_of_the_store_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_STORE", "postgresql://me:hunter22@host/db")
    text = page("launch", parser("launch"))
    assert "hunter22" not in text
    assert "postgresql://me:" in text


def test_a_malformed_settings_file_does_not_keep_the_page_away() -> None:
    Path(".jupyter-launch.yaml").write_text("queue: [")
    assert "cannot be read" in page("launch", parser("launch"))


def test_settings_are_named_on_the_page_of_launch_config() -> None:
    assert all(name in page("launch_config", parser("launch_config")) for name in NAMES)


@pytest.mark.parametrize(("verb", "code"), EXAMPLES)
def test_an_example_is_read_and_means_a_launch(verb: str, code: str) -> None:
    head, _, body = code.partition("\n")
    magic, _, line = head.lstrip("%").partition(" ")
    assert (magic == verb) or (verb, magic) == ("launch_config", "config")
    for name in ("train.py", "data.csv", "requirements.txt"):
        Path(name).touch()
    if magic not in {"launch", "launch_add", "launch_form"}:
        if magic != "config":
            parser(magic).parse_args(split(line, magic))
        return
    asked = options.parse(parser(magic), split(line, magic), {"config": {"lr": 1}})
    cell = body if head.startswith("%%") else None
    if line:
        request.spec_of(asked, cell, InMemory(), {}, {})


def test_a_misspelt_option_names_the_nearest() -> None:
    for verb, wrong, right in (
        ("relaunch", "--sett", "--set"),
        ("launch_config", "--hlep", "--help"),
    ):
        made = parser(verb)
        assert isinstance(made, argparse.ArgumentParser)
        with pytest.raises(SpecError, match=f"Did you mean {right}"):
            made.parse_args([wrong])
