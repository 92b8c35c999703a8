"""Raw output is folded to what a terminal would show."""

from __future__ import annotations

import html
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_launch.row import Row
from jupyter_launch.style import MARK, PLAIN, Style, css, restyle, sgr
from jupyter_launch.terminal import (
    WIDTH,
    Line,
    Run,
    Screen,
    fold,
    style_after,
    to_ansi,
    to_html,
    to_plain,
    visible,
)

ESC = "\x1b"
PIECES = st.one_of(
    st.binary(max_size=8),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(
        [b"\r", b"\n", b"\b", b"\x1b", b"\x1b[", b"\x1b[K", b"\x1b[2K", b"\x1b[A", b"\x1b[3B",
         b"\x1b[31m", b"\x1b[0m", b"\x1b[1;38;5;99m", b"\x1b[48:2::1:2:3m",
         b"\x1b]0;title\x07", b"\x1b]8;;http://x\x1b\\",
         b"\x1b[7G", b"\x1b[2D", b"\x1b[C", b"\x1b[?25l", "é✓😀".encode(), b"\xe2\x9c", b"\xff"]
    ),
)  # fmt: skip
OUTPUT = st.lists(PIECES, max_size=30).map(b"".join)


def plain(data: bytes | str) -> str:
    return to_plain(fold(data.encode() if isinstance(data, str) else data))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("", ""),
        ("one\ntwo\n", "one\ntwo"),
        ("one\n\nthree", "one\n\nthree"),
        ("10%\r20%\r30%", "30%"),
        ("long line\rshort", "shortline"),
        ("line\r\nnext\r\n", "line\nnext"),
        ("100 %\r\x1b[K5 %", "5 %"),
        ("keep this\x1b[4D\x1b[Kthat", "keep that"),
        ("gone\x1b[2K\rhere", "here"),
        ("abc\b\bX", "aXc"),
        ("a\b\b\b\bb", "b"),
        ("abc\x1b[2GX", "aXc"),
        ("abc\r\x1b[CX", "aXc"),
        ("out 1\n\rin 1\x1b[A\rout 2\n\rin 2\x1b[A\rout 3\n\rin 3", "out 3\nin 3"),
        ("a\nb\nc\x1b[2A\rA\x1b[9B\rC", "A\nb\nC"),
        ("a\nb\x1b[99A\rA", "A\nb"),
        ("a\nb\x1b[FA\x1b[EB", "A\nB"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://x.y\x1b\\link\x1b]8;;\x1b\\!", "link!"),
        ("\x1b]0;never ended\nnext", "\nnext"),
        ("\x1bPsixel\x1b\\x\x1b_app\x1b\\y", "xy"),
        ("\x1b[?25l\x1b[2J\x1b[>4;1m\x1b(Bx\x1b7y\x1b[!p", "xy"),
        ("nul\0bell\a\x7f\x85del", "nulbelldel"),
        ("tab\tstays", "tab\tstays"),
        ("cut off \x1b[3", "cut off "),
        ("x\u202egnp.exe", "x‹U+202E›gnp.exe"),
        ("a\u2028b\u2066c\u200f", "a‹U+2028›b‹U+2066›c‹U+200F›"),
        (b"bad \xff\xc3( \xe2\x9c", "bad \ufffd\ufffd( \ufffd"),
    ],
)  # fmt: skip
def test_what_is_shown(raw: str | bytes, shown: str) -> None:
    assert plain(raw) == shown


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("", PLAIN),
        ("31", Style(fg=1)),
        ("97;41", Style(fg=15, bg=1)),
        ("100", Style(bg=8)),
        ("1;2;3;4;7;9", Style(None, None, True, True, True, True, True, True)),
        ("1;4;22;24", PLAIN),
        ("38;5;9", Style(fg=9)),
        ("38;5;208;1", Style(fg="#ff8700", bold=True)),
        ("48;5;244", Style(bg="#808080")),
        ("38;2;1;2;255", Style(fg="#0102ff")),
        ("38:2::1:2:255", Style(fg="#0102ff")),
        ("38:5:208;3", Style(fg="#ff8700", italic=True)),
        ("4:3", Style(underline=True)),
        ("4;4:0", PLAIN),
        ("31;39", PLAIN),
        ("31;;1", Style(bold=True)),
        ("38;5;999", Style(fg="#eeeeee")),
        ("38", PLAIN),
        ("31;77;999999999999", Style()),
        ("31;53", Style(fg=1)),
    ],
)
def test_colours(codes: str, style: Style) -> None:
    assert fold(f"{ESC}[{codes}mx{ESC}[0m".encode()) == [(Run("x", style),)]


def test_a_style_lasts_until_it_is_reset() -> None:
    red = Style(fg=1)
    assert fold(b"a\x1b[31mb\nc\x1b[md") == [
        (Run("a", PLAIN), Run("b", red)),
        (Run("c", red), Run("d", PLAIN)),
    ]


def test_a_line_has_a_largest_width() -> None:
    (line,) = fold(b"x" * 50_000)
    assert line == (Run("x" * WIDTH, PLAIN), Run(" … 40,000 more characters", MARK))
    assert plain(b"x" * 50_000 + b"\rshort\x1b[K") == "short"


def test_only_the_end_is_folded() -> None:
    data = b"".join(b"line %d\n" % number for number in range(100_000))
    assert plain(data).splitlines() == [f"line {number}" for number in range(99_800, 100_000)]
    few = fold(data, limit_lines=1000, limit_bytes=100)
    assert to_plain(few).splitlines()[0].startswith("line 999")
    assert fold(b"y" * 70_000 + b"\n", limit_bytes=5) == [(Run("yyyy", PLAIN),)]


@given(OUTPUT, st.lists(st.integers(0, 200)))
def test_chunk_borders_do_not_matter(data: bytes, cuts: list[int]) -> None:
    whole, parts = Screen(), Screen()
    whole.write(data, final=True)
    start = 0
    for cut in sorted(cuts):
        parts.write(data[start:cut])
        start = max(start, cut)
    parts.write(data[start:], final=True)
    assert parts.lines(10**6) == whole.lines(10**6)


@given(OUTPUT)
def test_nothing_dangerous_is_left(data: bytes) -> None:
    lines = fold(data)
    text = to_plain(lines)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert text.count("\n") == max(0, len(lines) - 1)
    assert html.unescape(re.sub(r"</?(?:span|b)\b[^<>]*>", "", to_html(lines))) == text


@given(OUTPUT)
def test_ansi_text_shows_the_same_again(data: bytes) -> None:
    lines = fold(data)
    again: list[Line] = fold(to_ansi(lines).encode(), 10**6, 10**6)
    assert again == lines or to_plain(again).rstrip("\n") == to_plain(lines).rstrip("\n")


@given(st.text(max_size=40))
def test_every_colour_code_is_taken(codes: str) -> None:
    style = restyle(PLAIN, codes)
    assert restyle(PLAIN, sgr(style)) == style


def test_html_is_escaped_and_coloured_inline() -> None:
    lines = fold(b"\x1b[1;31m<script>alert('&')</script>\x1b[0m\nx")
    assert to_html(lines) == (
        "<b style=color:#d93c3c>&lt;script&gt;alert('&amp;')&lt;/script&gt;</b>\nx"
    )
    assert to_html(fold(b"\x1b[4;9;32mx\x1b[0;1my")) == (
        '<span style="color:#2f8540;text-decoration:underline line-through">x</span><b>y</b>'
    )


def test_ansi_text_says_what_changes() -> None:
    lines = fold(b"\x1b[1;31ma\x1b[36mb\x1b[0;36mc\x1b[4md\x1b[0m \nx\x1b[2my\nz")
    assert to_ansi(lines) == (
        "\x1b[1;31ma\x1b[1;36mb\x1b[0;36mc\x1b[4;36md\x1b[m \nx\x1b[2my\x1b[m\n\x1b[2mz\x1b[m"
    )


@pytest.mark.parametrize(
    ("codes", "rules"),
    [
        ("37", ""),
        ("37;41", "color:#ffffff;background-color:#d93c3c"),
        ("30;43", "color:#000000;background-color:#957012"),
        ("7", "color:#ffffff;background-color:#666666"),
        ("7;31", "color:#ffffff;background-color:#d93c3c"),
        ("4;9;2", "opacity:0.7;text-decoration:underline line-through"),
    ],
)
def test_css(codes: str, rules: str) -> None:
    assert css(restyle(PLAIN, codes)) == rules


def test_visible_text_stays_on_its_line() -> None:
    assert visible("a\nb\r\x1b[31mc\u202e") == "a b  c‹U+202E›"


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 10_000_000,
        (b"loss 0.123 " * 9 + b"\n") * 30_000,
        b"x" * 10_000 + b"\rx" * 100_000,
        b"x" * 10_000 + b"\r\x1b[Kx" * 50_000,
        b"\x1b[31mx\x1b[32my" * 20_000 + b"\rx" * 50_000,
        b"\n" * 20_000 + b"x" * 10_000 + b"x\x1b[A" * 20_000,
        b"\x1b]" * 100_000,
        b"\x1b[" + b"1" * 500_000,
        b"\x1b" * 500_000,
    ],
)
def test_time_is_linear(data: bytes) -> None:
    begun = time.perf_counter()
    fold(data, limit_bytes=len(data))
    assert time.perf_counter() - begun < 5


def test_a_sequence_that_never_ends_is_held_only_so_far() -> None:
    screen = Screen()
    for _ in range(1000):
        screen.write(b"\x1b]" if _ == 0 else b"y" * 1000)
    assert len(to_plain(screen.lines(10**6))) > WIDTH


# -- a screen that lives on ----------------------------------------------------------------------


def drawn(screen: Screen) -> list[str]:
    return [row.text for row in screen.rows]


def test_the_cursor_goes_no_higher_than_the_screen() -> None:
    screen = Screen(height=3)
    screen.write(b"a\nb\nc\nd\x1b[9AX\nY")
    assert drawn(screen) == ["a", "bX", "Y", "d"]
    assert (screen.top, screen.bottom, screen.lifted) == (0, 3, 3)


def test_rows_out_of_reach_are_let_go() -> None:
    screen = Screen(height=2, top=5)
    screen.write(b"a\nb\nc\nd")
    assert [row.text for row in screen.scroll()] == ["a", "b"]
    assert screen.scroll() == []
    screen.write(b"\x1b[9A!\n\n\n")
    assert (drawn(screen), screen.top) == (["c!", "d", "", ""], 7)
    assert Screen().scroll() == []


def test_rows_of_others_are_called_for_once_when_the_cursor_goes_there() -> None:
    asked = []

    def above(first: int, stop: int) -> list[Row]:
        asked.append((first, stop))
        before = Screen()
        before.write(b"".join(b"row %d\n" % number for number in range(first, stop)))
        return before.rows[:-1]

    screen = Screen(top=50, height=4, above=above)
    screen.write(b"new\nnew")
    assert asked == []
    screen.write(b"\x1b[2A!\x1b[99A\r?")
    assert asked == [(48, 50)]
    assert (drawn(screen), screen.top) == (["?ow 48", "row!49", "new", "new"], 48)


def test_copies_of_a_screen_go_different_ways() -> None:
    one = Screen()
    one.write(b"\x1b[31mab\rAB\x1b[1", stream=2, at=3.0)
    two = one.copy()
    one.write(b"mbold")
    two.write(b"Dx")
    assert (drawn(one), drawn(two)) == (["ABbold"], ["Ax"])
    assert two.rows[0].line() == (Run("Ax", Style(fg=1)),)
    assert (two.rows[0].stream, two.rows[0].at) == (2, 3.0)


def test_a_row_is_of_the_stream_that_began_it_or_came_back_to_it() -> None:
    screen = Screen()
    for at, (stream, data) in enumerate([(1, b"a"), (2, b"b\n"), (2, b"\x1b["), (1, b"32mc\n\n")]):
        screen.write(data, stream=stream, at=float(at))
    assert [(row.stream, row.at) for row in screen.rows] == [(1, 0.0), (2, 2.0), (1, 3.0), (0, 0.0)]
    assert screen.fresh
    screen.write(b"\x1b[3A\x1b[Kd\x1b[3B", stream=2, at=9.0)
    assert [row.stream for row in screen.rows] == [2, 2, 1, 2]
    assert (screen.rows[0].at, screen.rows[3].at) == (0.0, 9.0)
    assert not screen.fresh


def test_what_changed_is_known() -> None:
    screen = Screen()
    screen.write(b"a\nb\nc\n")
    screen.changed = 99
    screen.write(b"\x1b[2A\x1b[31m\n")
    assert screen.changed == 99
    screen.write(b"x\x1b[1A\x1b[K")
    assert screen.changed == 1


@given(OUTPUT)
def test_a_style_is_known_without_drawing(data: bytes) -> None:
    screen = Screen()
    screen.write(data + b"\n")
    assert style_after(PLAIN, data + b"\n") == screen.style
