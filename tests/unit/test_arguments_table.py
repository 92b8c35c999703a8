"""Every documented argument is proved by a test, and the README says by which."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tests import arguments_table
from tests.arguments_table import FUNCTIONS, README, arguments, meanings, proofs
from tests.proofs import proves


def test_a_proof_leaves_its_test_as_it_is() -> None:
    def test() -> int:
        return 1

    assert proves("launch.name")(test) is test


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_argument_has_a_meaning(function: Callable[..., Any]) -> None:
    found = meanings(function)
    assert set(found) == set(inspect.signature(function).parameters)
    assert [name for name, meaning in found.items() if not meaning.endswith(".")] == []


def test_every_argument_is_proved() -> None:
    assert sorted(arguments().keys() - {proof.argument for proof in proofs()}) == []


def test_every_proof_is_of_an_argument() -> None:
    strays = [proof for proof in proofs() if proof.argument not in arguments()]
    assert strays == []


def test_every_proof_is_a_test() -> None:
    assert [proof for proof in proofs() if not proof.test.startswith("test_")] == []


def test_the_readme_has_the_table_as_it_is_generated() -> None:
    text = README.read_text(encoding="utf-8")
    again = arguments_table.written(text)
    assert text == again, "python -m tests.arguments_table --write"
