"""Which of pip's settings a build gets to see."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

import pytest

from jupyter_launch.builds.dockerfile import CA, NETRC, PIP_CONFIG, SECRETS
from jupyter_launch.builds.pip_config import inherited
from jupyter_launch.errors import BuildFailed


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a home without settings; those of the whole machine stay."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name.endswith(("CA_BUNDLE", "SSL_CERT_FILE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.delenv("NETRC", raising=False)
    return tmp_path


def settings(also: str = "") -> dict[str, str]:
    parser = configparser.RawConfigParser()
    parser.read_string(inherited(also).files[PIP_CONFIG].decode())
    return dict(parser.items("install"))


def user_file(home: Path, text: str) -> None:
    file = home / ".config/pip/pip.conf"
    file.parent.mkdir(parents=True)
    file.write_text(text)


def test_a_command_wins_over_the_whole_and_the_environment_over_files(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_file(
        home,
        "[global]\nindex-url = https://a.test/s\ntimeout = 5\nretries = 1\n"
        "[install]\ntimeout = 6\n[download]\ntimeout = 9\n",
    )
    named = home / "named.conf"
    named.write_text("[global]\nindex_url = https://b.test/s%%20\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(named))
    monkeypatch.setenv("PIP_RETRIES", "2")
    found = settings()
    assert found["index-url"] == "https://b.test/s%%20"
    assert found["timeout"] == "6"
    assert found["retries"] == "2"


def test_lists_stay_lists(home: Path) -> None:
    user_file(home, "[global]\nextra-index-url =\n  https://a.test/s\n  https://b.test/s\n")
    assert settings()["extra-index-url"].split() == ["https://a.test/s", "https://b.test/s"]


def test_where_things_go_on_this_machine_is_not_inherited(home: Path) -> None:
    user_file(home, "[global]\ntarget = /x\ncache-dir = /y\nuser = yes\nlog = /z\npre = yes\n")
    assert set(settings()) <= {"pre", "cert"}


def test_no_settings_at_all_can_be_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user_file(home, "[global]\npre = yes\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert settings() == {}


def test_uvs_environment_counts_where_pip_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://a.test/s")
    monkeypatch.setenv("UV_INDEX", "ours=https://b.test/s https://c.test/s")
    assert settings() == {
        "index-url": "https://a.test/s",
        "extra-index-url": "\nhttps://b.test/s\nhttps://c.test/s".strip(),
    }
    monkeypatch.setenv("PIP_INDEX_URL", "https://d.test/s")
    assert settings()["index-url"] == "https://d.test/s"


def test_certificates_come_along(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "ca.pem").write_text("certificates")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(home / "ca.pem"))
    assert inherited().files[CA] == b"certificates"
    assert settings()["cert"] == SECRETS + CA
    (home / "other.pem").write_text("others")
    monkeypatch.setenv("PIP_CERT", str(home / "other.pem"))
    assert inherited().files[CA] == b"others"


def test_certificates_that_are_not_there_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", "/none.pem")
    with pytest.raises(BuildFailed, match=r"'cert' names /none\.pem, which cannot be read"):
        inherited()


def test_a_broken_file_is_named_without_its_content(home: Path) -> None:
    user_file(home, "index-url = https://ada:hunter22@a.test/\n")
    with pytest.raises(BuildFailed, match=r"pip\.conf is broken") as caught:
        inherited()
    assert "hunter22" not in str(caught.value)


def test_what_only_this_machine_has_is_left_out_and_said(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_file(home, "[global]\nfind-links = /wheels https://a.test/w\nindex-url = file:///x\n")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://localhost:3141/s")
    found = inherited()
    assert settings()["find-links"] == "https://a.test/w"
    assert "index-url" not in settings()
    said = "\n".join(found.left_out)
    assert "find-links /wheels is left out" in said
    assert "index-url file:///x is left out" in said
    assert "extra-index-url is at localhost" in said


def test_passwords_are_known_so_that_none_is_shown(home: Path) -> None:
    user_file(home, "[global]\nindex-url = https://ada:open%2Fsesame@a.test/s\n")
    logins = (
        "machine b.test login bob password from-netrc\nmachine c.test login x password unasked\n"
    )
    (home / ".netrc").write_text(logins)
    (home / ".netrc").chmod(0o600)
    found = inherited("--extra-index-url https://b.test/simple")
    assert set(found.secrets) == {"open%2Fsesame", "open/sesame", "from-netrc"}
    assert found.files[NETRC] == b"machine b.test login bob password from-netrc\n"
