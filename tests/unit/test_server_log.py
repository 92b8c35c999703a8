"""Which part of a log a ``Range`` header asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.frontends.server_log import Part, part_of

sizes = st.integers(0, 40)


@given(size=sizes, first=sizes, last=sizes)
def test_a_range_is_the_bytes_from_first_to_last(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    wanted = data[first : last + 1]
    if not wanted:
        with pytest.raises(ValueError, match=str(size)):
            part_of(f"bytes={first}-{last}", size)
        return
    part = part_of(f"bytes={first}-{last}", size)
    assert part is not None
    assert data[part.start : part.stop] == wanted
    assert part.stop <= size


@given(size=sizes, count=sizes)
def test_a_range_may_be_the_rest_or_the_end(size: int, count: int) -> None:
    if count < size:
        assert part_of(f"bytes={count}-", size) == Part(count, size)
    if count and size:
        assert part_of(f"bytes=-{count}", size) == Part(max(0, size - count), size)


@given(st.text(max_size=30), sizes)
def test_whatever_is_asked_for_a_part_is_within_the_log(header: str, size: int) -> None:
    for asked in (header, f"bytes={header}"):
        try:
            part = part_of(asked, size)
        except ValueError:
            continue
        assert part is None or 0 <= part.start < part.stop <= size


@pytest.mark.parametrize("header", [None, "", "lines=0-1", "items=0"])
def test_what_is_no_range_of_bytes_is_the_whole(header: str | None) -> None:
    assert part_of(header, 5) is None


def test_units_are_read_whatever_their_case() -> None:
    assert part_of(" Bytes= 1 - 2 ", 5) == Part(1, 3)
