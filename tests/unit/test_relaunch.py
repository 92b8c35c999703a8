"""What was redacted in a spec comes back when somebody edits what was shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.errors import SpecError
from jupyter_launch.frontends.relaunch import unredacted
from jupyter_launch.redact import REDACTED, redact_spec

KEY, OTHER = "sk-Qm8dkLw03hfXa94jTbVe72", "hf_abcdefghij0123456789XYZ"

words = st.sampled_from(["", "a", f"key={KEY}", KEY, OTHER, f"{OTHER} and {KEY}\n", "(.*?)", "\\"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["env", "args", "API_TOKEN", "password"]), values))
def test_what_nobody_edited_is_as_it_was(recorded: dict[str, Any]) -> None:
    shown = redact_spec(recorded)
    assert unredacted(shown, shown, recorded) == recorded


def test_what_was_edited_keeps_its_secrets() -> None:
    recorded = {"source": {"body": f"a = '{KEY}'\nb = '{OTHER}'\n"}, "env": {"A": KEY}}
    shown = redact_spec(recorded)
    shown["source"]["body"] = "# new\n" + shown["source"]["body"] + "print(a)\n"
    shown["env"]["B"] = "plain"
    assert unredacted(shown, redact_spec(recorded), recorded) == {
        "source": {"body": f"# new\na = '{KEY}'\nb = '{OTHER}'\nprint(a)\n"},
        "env": {"A": KEY, "B": "plain"},
    }


@pytest.mark.parametrize(
    ("edited", "field"),
    [
        ({"env": {"B": REDACTED}}, "env.B"),
        ({"env": {"A": f"{REDACTED}{REDACTED}"}}, "env.A"),
        ({"args": ["x", {"y": f"--key={REDACTED}"}]}, "args[1].y"),
        ({"env": [REDACTED]}, "env[0]"),
    ],
)
def test_a_mark_that_stands_for_nothing_is_refused(edited: dict[str, Any], field: str) -> None:
    recorded = {"env": {"A": KEY}}
    with pytest.raises(SpecError, match="stands for a value") as caught:
        unredacted(edited, redact_spec(recorded), recorded)
    assert caught.value.field == field
