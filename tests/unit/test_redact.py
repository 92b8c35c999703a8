"""Keys are found and shown nowhere; what only looks a little like one is left alone.

Every key here is made up and put together at run time, so that no scanner takes one for real.
"""

from __future__ import annotations

import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.redact import REDACTED, findings, redact_spec, redact_text, secret_like

MIXED = string.ascii_letters + string.digits


def fake(alphabet: str, length: int) -> str:
    made = random.Random(length).choices(alphabet, k=length)
    return "".join(["a7Q"[: len(set(alphabet)) and 3] if alphabet == MIXED else "", *made])[:length]


HEX = "0123456789abcdef"
KEYS = [
    "sk" + "-" + fake(MIXED, 48),
    "sk" + "-proj-" + fake(MIXED, 40),
    "sk" + "-ant-api03-" + fake(MIXED, 40),
    "hf" + "_" + fake(string.ascii_letters, 34),
    "ghp" + "_" + fake(MIXED, 36),
    "gho" + "_" + fake(MIXED, 36),
    "github" + "_pat_" + fake(MIXED, 60),
    "glpat" + "-" + fake(MIXED, 20),
    "AKIA" + fake(string.ascii_uppercase + string.digits, 16),
    "xoxb" + "-" + fake(string.digits, 12) + "-" + fake(MIXED, 24),
    "sk" + "_live_" + fake(MIXED, 24),
    "AIza" + fake(MIXED, 35),
    "ya29" + "." + fake(MIXED, 60),
    "npm" + "_" + fake(MIXED, 36),
    "dckr" + "_pat_" + fake(MIXED, 27),
    "local" + "-" + fake(HEX, 40),
    ".".join(["eyJ" + fake(MIXED, 20), "eyJ" + fake(MIXED, 40), fake(MIXED, 43)]),
]
NAMED = [
    ("WANDB_API_KEY", fake(HEX, 40)),
    ("WANDB_API_KEY", "local-" + fake(MIXED, 40)),
    ("API_KEY", fake(MIXED, 32)),
    ("apiKey", fake(MIXED, 32)),
    ("OPENAI_KEY_2", fake(MIXED, 24)),
    ("aws_secret_access_key", "/".join([fake(MIXED, 13), fake(MIXED, 9), fake(MIXED, 16)])),
    ("ACCESS_TOKEN", "-".join([fake(HEX, 8), fake(HEX, 4), fake(HEX, 4), fake(HEX, 12)])),
    ("DB_PASSWORD", "hunter" + "2"),
    ("db-passwd", "s3" + "cr!et"),
    ("DATABASE", "postgres://me:" + "pw" + "@db:5432/x"),
]
HARMLESS = [
    ("lr", "0.1"),
    ("tokens", "4096"),
    ("max_tokens", "512"),
    ("KEY_COLUMN", "user_id"),
    ("primary_key", "created_at"),
    ("tokenizer", "bert-base-uncased"),
    ("token_model", "meta-llama/Llama-3-8b-Instruct"),
    ("version", fake(HEX, 40)),
    ("git", "sha256:" + fake(HEX, 64)),
    ("API_KEY", "true"),
    ("API_KEY", "12345678901234567890"),
    ("API_KEY", "${OPENAI_API_KEY}"),
    ("API_KEY", "your-api-key-goes-here-123456"),
    ("PRIVATE_KEY", "/home/me/.ssh/id_ed25519"),
    ("SECRET_NAME", fake(MIXED, 30)),
    ("AWS_SECRET_PATH", "a1/b2/c3/d4/e5/f6/g7"),
    ("password", "args.password"),
    ("password", "required"),
    ("monkey", fake(MIXED, 30)),
    ("public_key", fake(MIXED, 60)),
    ("uri", "https://git@host/me/repo.git"),
    ("uri", "https://me:$TOKEN@host/me/repo.git"),
    ("key", REDACTED),
    ("image", "registry.example/sk-learn-with-a-very-long-name:latest"),
]
SECRETS = st.sampled_from([*KEYS, *(f"{name}={value}" for name, value in NAMED)])
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=20),
        SECRETS,
        st.sampled_from(
            ["key", "token=", "password: ", "://", "me:", "@", "-----BEGIN PRIVATE KEY-----",
             "-----END PRIVATE KEY-----", "bearer ", "--", '"', "'", " ", "\n", "=", "]", "sk-",
             REDACTED]
        ),
    ),
    max_size=12,
).map("".join)  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_known_forms_are_secrets_under_any_name(key: str) -> None:
    assert secret_like("anything", key)
    assert redact_text(f"using {key}, ok") == f"using {REDACTED}, ok"


@pytest.mark.parametrize(("name", "value"), NAMED)
def test_names_give_values_away(name: str, value: str) -> None:
    assert secret_like(name, value)
    for text in (f"{name}={value}", f"--{name}={value} -v", f'{{"{name}": "{value}"}}'):
        assert value not in redact_text(text)
        assert name in redact_text(text)


@pytest.mark.parametrize(("name", "value"), HARMLESS)
def test_what_only_resembles_a_secret_passes(name: str, value: str) -> None:
    assert not secret_like(name, value)
    text = f"{name}={value} --{name} {value} {name}: '{value}'"
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "line",
    [
        "The next token is predicted from the key and value projections.",
        "key=jax.random.PRNGKey(42)",
        'password = getpass.getpass("Password: ")',
        "step 100 | tokens/s: 41234 | tokens: 123456789",
        "os.environ['HF_TOKEN']",
        "invalid PEM: expected -----BEGIN CERTIFICATE-----, got nothing",
    ],
)
def test_ordinary_code_and_logs_pass(line: str) -> None:
    assert redact_text(line) == line


def test_code_that_sets_a_key() -> None:
    key = fake(MIXED, 32)
    assert (
        redact_text(f'os.environ["API_KEY"] = "{key}"') == f'os.environ["API_KEY"] = "{REDACTED}"'
    )


def test_private_key_blocks_vanish_whole_and_take_nothing_with_them() -> None:
    body = "\n".join(fake(MIXED, 64) for _ in range(3))
    begin, end = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
    assert redact_text(f"a\n{begin}\n{body}\n{end}\nb") == f"a\n{REDACTED}\nb"
    assert redact_text(f"{begin}\n{body}") == REDACTED
    assert redact_text(f"expected {begin}, got none") == f"expected {REDACTED}, got none"


def test_spec_is_redacted_in_depth_and_not_changed() -> None:
    key = fake(MIXED, 32)
    spec = {
        "uri": "https://me:" + "pw" + "@host/repo.git",
        "git": {"version": fake(HEX, 40)},
        "env": {"API_KEY": key, "LR": "0.1"},
        "secrets": ["API_KEY"],
        "overrides": {
            "args": ["--api-key", key, "--steps", "10", f"--token={key}"],
            "run_config": {"nested": [{"password": "hunter" + "2"}], "lr": 0.1, "none": None},
        },
        "resource_args": {
            "local-container": {"env": [f"TOKEN={key}"], "memory": "2g"},
            "kubernetes": {"env": [{"name": "MY_TOKEN", "value": key}]},
        },
    }
    before = repr(spec)
    shown = redact_spec(spec)
    assert repr(spec) == before
    assert key not in repr(shown)
    assert shown["uri"] == f"https://me:{REDACTED}@host/repo.git"
    assert shown["git"] == spec["git"]
    assert shown["secrets"] == ["API_KEY"]
    assert shown["overrides"]["run_config"]["lr"] == 0.1
    assert shown["overrides"]["args"][2:4] == ["--steps", "10"]
    assert findings(spec) == [
        "uri",
        "env.API_KEY",
        "overrides.args[1]",
        "overrides.args[4]",
        "overrides.run_config.nested[0].password",
        "resource_args.local-container.env[0]",
        "resource_args.kubernetes.env[0].value",
    ]
    assert findings(shown) == []


@given(TEXTS)
def test_redaction_is_idempotent(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@given(st.text(max_size=200), st.sampled_from(KEYS), st.sampled_from(" \n,;\"'"))
def test_a_key_is_found_in_any_surroundings(text: str, key: str, gap: str) -> None:
    assert key not in redact_text(f"{text}{gap}{key}{gap}{text}")


@given(
    st.recursive(
        st.none() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_can_be_redacted(value: object) -> None:
    once = redact_spec({"x": value})
    assert repr(redact_spec(once)) == repr(once)
    assert findings(once) == []


@pytest.mark.parametrize(
    "piece",
    ["x", "sk-", "eyJ-", "key", "key=", "://", "://a:", "a.key_", "SG.", "bearer ", "-",
     "-----BEGIN PRIVATE KEY-----"],
)  # fmt: skip
def test_time_is_linear(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    begun = time.perf_counter()
    redact_text(text)
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("word", ["bearer", "Bearer", "BEARER", "bEaReR"])
def test_a_bearer_is_known_however_it_is_written(word: str) -> None:
    token = "abcdefghij0123456789"
    assert redact_text(f"Authorization: {word} {token}") == f"Authorization: {word} {REDACTED}"
