"""Finds what looks like a secret in specs and texts, to warn about it and to show it nowhere.

Two kinds of evidence count: a form that only keys have (``hf_...``, a JWT, a password in a URL),
and a name that says "secret" beside a value that looks like one. The second is cautious, for a
warning that is usually wrong is soon ignored: ``tokens=4096`` and ``key_column=user_id`` pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "‹redacted›"

# Each form begins where no word is under way and repeats within bounds, so that a long text
# without any key costs one pass; and takes the whole word, so that no key is left behind it.
_PEM = (
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
    r"(?:[\s\w+/=:,.\\-]{0,8000}?-----END [A-Z ]{0,40}PRIVATE KEY-----"
    r"|(?:\s*[A-Za-z0-9+/=]{32,})*)"  # cut off before its end
)
_SHAPES = {
    "PRIVATE KEY": _PEM,
    "eyJ": r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?",  # JSON web token
    "sk-": r"(?<![\w-])sk-(?=[\w-]{0,200}\d)[\w-]{20,}",  # OpenAI, Anthropic and others
    "hf_": r"\bhf_[A-Za-z0-9]{20,}",  # Hugging Face
    "gh": r"\bgh[opsur]_[A-Za-z0-9]{20,}",
    "github_pat_": r"\bgithub_pat_\w{20,}",
    "gl": r"(?<![\w-])gl(?:pat|dt|rt|ptt|cbt|oas|soat|agent)-[\w-]{16,}",  # GitLab
    "IA": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # AWS
    "xox": r"(?<![\w-])xox[abeoprs]-[\w-]{10,}",  # Slack
    "xapp-": r"(?<![\w-])xapp-[\w-]{10,}",
    "hooks.slack.com": r"(?<=hooks\.slack\.com/services/)[\w/]{20,}",
    "k_": r"\b[rs]k_(?:live|test)_\w{16,}",  # Stripe
    "whsec_": r"\bwhsec_\w{16,}",
    "AIza": r"\bAIza[\w-]{35}",  # Google
    "ya29.": r"\bya29\.[\w-]{20,}",
    "GOCSPX-": r"(?<![\w-])GOCSPX-[\w-]{20,}",
    "npm_": r"\bnpm_[A-Za-z0-9]{36}",
    "pypi-": r"(?<![\w-])pypi-[\w-]{50,}",
    "dckr_pat_": r"\bdckr_pat_[\w-]{20,}",
    "dapi": r"\bdapi[0-9a-f]{32}",  # Databricks
    "dop_v1_": r"\bdop_v1_[0-9a-f]{64}",  # DigitalOcean
    "nvapi-": r"(?<![\w-])nvapi-[\w-]{40,}",  # NVIDIA
    "gsk_": r"\bgsk_[A-Za-z0-9]{40,}",  # Groq
    "SG.": r"\bSG\.[\w-]{16,}\.[\w-]{16,}",  # SendGrid
    "local-": r"(?<![\w-])local-[0-9a-f]{40}\b",  # W&B
    "wandb_v": r"\bwandb_v\d_[\w-]{40,}",
    "AccountKey=": r"(?<=AccountKey=)[\w+/=]{40,}",  # Azure
    "bearer ": r"(?i:(?<=\bbearer ))(?=[\w.~+/-]{0,200}\d)[\w.~+/-]{20,}=*",
}
"""What keys look like, by what stands in each: most texts have nothing of all that."""

_FORMS = {mark.lower(): re.compile(rf"(?:{shape})[\w-]*") for mark, shape in _SHAPES.items()}
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/@:'\"]*:)[^\s/@'\"‹›${<*][^\s/@'\"‹›]*(?=@)")
_PAIR = re.compile(
    r"(?<![\w.-])([\w.-]{0,60}(?:key|token|secret|passw|passphrase|pwd|credential)[\w.-]{0,40})"
    r"(['\"]?\]?[ \t]{0,3}[=:][ \t]{0,3}['\"]?|[ \t]{1,3})"
    r"([^\s'\",;&‹›]+)(?![^\s'\",;&])",
    re.IGNORECASE,
)

_SECRET_WORDS = ("token", "secret", "password", "passwd", "apikey", "accesskey", "secretkey")
_MORE_SECRET_WORDS = {"key", "pwd", "passphrase", "credential", "credentials"}
_PASSWORDS = {"password", "passwd", "pwd", "passphrase"}
_ABOUT_A_SECRET = re.compile(
    r"algorithm|class|col|columns?|count|dir|endpoint|fields?|file|format|header|id|len|length"
    r"|limit|model|names?|path|policy|prefix|size|ttl|type|ur[il]|version"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_SECRET = re.compile(
    r"[\s‹›]|^[$%{<*~]|^\.{1,2}/|^/[\w-]+/|^[A-Za-z]:\\|://|^(?:your|change|example|dummy|x{4})"
    r"|^[a-z_]\w*(?:\.[a-z_]\w*)+$"  # a name in code, such as ``args.password``
    r"|^[a-z]+(?:[_-][a-z]+)*$"  # words
    r"|[(\[]",
    re.IGNORECASE,
)


def secret_like(name: str, value: str) -> bool:
    """Say whether a value looks like a secret, by its form or in view of its name."""
    lowered = value.lower()
    if any(mark in lowered and form.search(value) for mark, form in _FORMS.items()):
        return True
    return bool(_URL_PASSWORD.search(value)) or _named_so(name, value)


def redact_text(text: str) -> str:
    """Replace what looks like a secret in free text."""
    lowered = text.lower()
    for mark, form in _FORMS.items():
        if mark in lowered:
            text = form.sub(REDACTED, text)
    text = _URL_PASSWORD.sub(rf"\1{REDACTED}", text)
    return _PAIR.sub(_redact_pair, text)


def redact_spec(data: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a spec's JSON form, with everything in it replaced that looks like a secret."""
    return {key: _walk(key, item, key, []) for key, item in data.items()}


def findings(data: Mapping[str, Any]) -> list[str]:
    """Name the places in a spec's JSON form that look like secrets, such as ``env.API_KEY``."""
    found: list[str] = []
    for key, item in data.items():
        _walk(key, item, key, found)
    return found


def _walk(name: str, value: Any, path: str, found: list[str]) -> Any:
    if isinstance(value, str):
        shown = REDACTED if _named_so(name, value) else redact_text(value)
        if shown != value:
            found.append(path)
        return shown
    if isinstance(value, Mapping):
        # ``{name: API_KEY, value: ...}`` is how Kubernetes spells an environment variable.
        names = {"value": str(value.get("name", "value"))}
        return {
            key: _walk(names.get(key, str(key)), item, f"{path}.{key}", found)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        flags = [name, *(item if str(item).startswith("-") else name for item in value)]
        return [
            _walk(str(flag), item, f"{path}[{place}]", found)
            for place, (flag, item) in enumerate(zip(flags, value, strict=False))
        ]
    return value


def _redact_pair(match: re.Match[str]) -> str:
    name, separator, value = match.groups()
    if separator.isspace() and not name.startswith("-"):
        return match[0]
    return f"{name}{separator}{REDACTED}" if _named_so(name, value) else match[0]


def _named_so(name: str, value: str) -> bool:
    words = re.split(r"[^a-z]+", _CAMEL.sub("_", name[:200]).lower().strip("-_0123456789"))
    if _ABOUT_A_SECRET.fullmatch(words[-1]) or "public" in words:
        return False
    secret = [w for w in words if w.endswith(_SECRET_WORDS) or w in _MORE_SECRET_WORDS]
    if not secret or not 6 <= len(value) <= 4096 or _NO_SECRET.search(value):
        return False
    if not any(char.isalpha() for char in value):
        return False
    return words[-1] in _PASSWORDS or _looks_random(value)


def _looks_random(value: str) -> bool:
    """Tell a key from a name: one long stretch that mixes letters with digits, or cases."""
    longest = max(re.split(r"[^A-Za-z0-9]+", value), key=len)
    mixed = any(char.isdigit() for char in value) or (
        len(longest) >= 24 and longest.lower() != longest != longest.upper()
    )
    whole = len(value) >= 40 and re.fullmatch(r"[\w+/=-]+", value) is not None
    return mixed and len(value) >= 16 and len(set(value)) >= 8 and (len(longest) >= 12 or whole)
