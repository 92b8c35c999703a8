// A terminal's colours and marks, read from the SGR sequences of a line and turned into spans.
// All other control sequences are dropped. `jupyter_launch/style.py` reads the same codes.

/** One of the terminal's 16 own colours, `#rrggbb`, or the default. */
export type Color = number | string | null;

export interface Style {
  readonly fg: Color;
  readonly bg: Color;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
  readonly strike: boolean;
}

type Mark = Exclude<keyof Style, "fg" | "bg">;

export interface Piece {
  text: string;
  readonly style: Style;
}

export const PLAIN: Style = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
};

const MARKS: Record<number, Mark> = {
  1: "bold",
  2: "dim",
  3: "italic",
  4: "underline",
  7: "inverse",
  9: "strike",
};
const UNMARKS: Record<number, Mark[]> = {
  22: ["bold", "dim"],
  23: ["italic"],
  24: ["underline"],
  27: ["inverse"],
  29: ["strike"],
};

/** Apply the numbers of an SGR sequence, such as `1;38;5;208`; unknown ones are ignored. */
export function restyle(style: Style, parameters: string): Style {
  const codes = parameters.split(";");
  for (let code = codes.shift(); code !== undefined; code = codes.shift()) {
    const [head, ...inner] = code.split(":");
    const value = number(head);
    if (value === 0) style = PLAIN;
    else if (MARKS[value]) style = { ...style, [MARKS[value]]: inner[0] !== "0" };
    else if (UNMARKS[value]) for (const gone of UNMARKS[value]) style = { ...style, [gone]: false };
    else {
      // `38:2::r:g:b` has a field for the colour space that `38;2;r;g;b` has not.
      if (inner.length > 4) inner.splice(1, 1);
      style = recolor(style, value, inner.length ? inner : codes);
    }
  }
  return style;
}

/** Apply the code of a colour, of which `rest` may say more. */
function recolor(style: Style, value: number, rest: string[]): Style {
  const bright = value >= 90;
  const code = bright ? value - 60 : value;
  const color = code % 10;
  const part = code < 40 ? "fg" : "bg";
  if (code < 30 || code > 49) return style;
  if (color < 8) return { ...style, [part]: bright ? color + 8 : color };
  if (bright) return style;
  return { ...style, [part]: color === 8 ? extended(rest) : null };
}

function number(text = ""): number {
  return /^\d{1,5}$/.test(text) ? Number(text) : 0;
}

function extended(rest: string[]): Color {
  const byte = (): number => Math.min(255, number(rest.shift()));
  const mode = rest.shift();
  if (mode === "5") return indexed(byte());
  if (mode === "2") return hex([byte(), byte(), byte()]);
  return null;
}

/** One of the 256 colours: the 16, a cube of 6 x 6 x 6, a ramp of greys. */
function indexed(index: number): Color {
  if (index < 16) return index;
  if (index >= 232) {
    const grey = 8 + 10 * (index - 232);
    return hex([grey, grey, grey]);
  }
  const place = index - 16;
  const step = (level: number): number => (level ? 55 + 40 * level : 0);
  return hex([step(Math.floor(place / 36)), step(Math.floor(place / 6) % 6), step(place % 6)]);
}

function hex(parts: number[]): string {
  return "#" + parts.map((part) => part.toString(16).padStart(2, "0")).join("");
}

// An SGR sequence; another control sequence; a title, hyperlink or other string; any other escape;
// a control character. Tabs stay.
const CONTROL =
  // eslint-disable-next-line no-control-regex
  /\x1b\[([0-9:;]*)m|\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b(?:[ -/]*[0-~])?|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;
const ORDINARY = /^[\t -~]*$/;
const REORDERING = /[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Show characters that would reorder the text around them by their numbers. */
export function visible(text: string): string {
  return text.replace(
    REORDERING,
    (char) => `‹U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}›`,
  );
}

/** Cut a line into pieces of one style each. */
export function pieces(line: string, style: Style): Piece[] {
  if (ORDINARY.test(line)) return line ? [{ text: line, style }] : [];
  const made: Piece[] = [];
  let start = 0;
  const put = (end: number): void => {
    const last = made.at(-1);
    const text = visible(line.slice(start, end));
    if (last?.style === style) last.text += text;
    else if (text) made.push({ text, style });
  };
  for (const control of line.matchAll(CONTROL)) {
    put(control.index);
    if (control[1] !== undefined) style = restyle(style, control[1]);
    start = control.index + control[0].length;
  }
  put(line.length);
  return made;
}

/** What a line says, without how it looks. */
export function plain(line: string): string {
  return ORDINARY.test(line) ? line : visible(line.replace(CONTROL, ""));
}

/**
 * Give the classes that make a style, and the colours that a program named by its parts. The style
 * sheet makes them readable: it knows what is behind them.
 */
export function look(style: Style): { classes: string; fg: string; bg: string } {
  const { fg, bg } = style.inverse ? { fg: style.bg, bg: style.fg } : style;
  const classes = Object.values(MARKS)
    .filter((mark) => style[mark])
    .map((mark) => `jl-${mark}`);
  if (fg !== null) classes.push(typeof fg === "string" ? "jl-fg" : `jl-fg${fg}`);
  if (bg !== null) classes.push("jl-on", typeof bg === "string" ? "" : `jl-bg${bg}`);
  return {
    classes: classes.join(" ").trim(),
    fg: typeof fg === "string" ? fg : "",
    bg: typeof bg === "string" ? bg : "",
  };
}

/** Draw a piece: plain text as it is, other text in a span. Never anything but text. */
export function draw({ text, style }: Piece): Node {
  const { classes, fg, bg } = look(style);
  if (!classes) return document.createTextNode(text);
  const span = document.createElement("span");
  span.className = classes;
  if (fg) span.style.setProperty("--jl-fg", fg);
  if (bg) span.style.setProperty("--jl-bg", bg);
  span.textContent = text;
  return span;
}
