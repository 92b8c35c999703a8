// The live view of one run: plain DOM, fed by the kernel through an anywidget model.
//
// The upper half folds raw bytes to lines as ../terminal.py and ../style.py do (one corpus of
// tests compares them); the lower half draws. Text of a program reaches the page as text nodes
// only, never as HTML.

const WIDTH = 10000; // characters of a line that are kept
const LINES = 5000; // lines that are kept
const ACK_BYTES = 256 * 1024;
const HEARTBEAT_MS = 30000;
const ANSWER_MS = 2000; // a kernel that has not answered by then is busy

// ---- styles ---------------------------------------------------------------------------------

const MARKS = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const UNMARKS = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"] };
const PALETTE = [
  "#787878", "#d93c3c", "#2f8540", "#957012", "#3277cf", "#b04fb6", "#1a8282", "#8c8c8c",
  "#868686", "#e5534f", "#35924a", "#a57c14", "#4486e0", "#c05fc6", "#1c9090", "#9a9a9a",
];

function style(old, changes) {
  const made = { ...old, ...changes };
  made.key = [made.fg, made.bg, ...Object.values(MARKS).map((mark) => +made[mark])].join();
  return made;
}

export const PLAIN = style(
  { fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false, strike: false },
  {},
);
const MARK = style(PLAIN, { dim: true, italic: true });

const number = (text) => (/^[0-9]{1,5}$/.test(text ?? "") ? Number(text) : 0);
const rgb = (parts) => "#" + parts.map((part) => part.toString(16).padStart(2, "0")).join("");

function indexed(index) {
  if (index < 16) return index;
  if (index >= 232) return rgb(Array(3).fill(8 + 10 * (index - 232)));
  const steps = [0, 95, 135, 175, 215, 255];
  const place = index - 16;
  return rgb([Math.floor(place / 36), Math.floor(place / 6) % 6, place % 6].map((i) => steps[i]));
}

function extended(rest) {
  const byte = () => Math.min(255, number(rest.shift()));
  const mode = rest.shift();
  if (mode === "5") return indexed(byte());
  if (mode === "2") return rgb([byte(), byte(), byte()]);
  return null;
}

export function restyle(now, parameters) {
  const codes = parameters.split(";");
  while (codes.length) {
    const [head, ...inner] = codes.shift().split(":");
    const value = number(head);
    if (value === 0) now = PLAIN;
    else if (value in MARKS) now = style(now, { [MARKS[value]]: inner[0] !== "0" });
    else if (value in UNMARKS) now = style(now, Object.fromEntries(UNMARKS[value].map((mark) => [mark, false])));
    else if (value === 38 || value === 48) {
      // `38:2::r:g:b` has a field for the colour space that `38;2;r;g;b` has not.
      const rest = !inner.length ? codes : inner.length > 4 ? [inner[0], ...inner.slice(2)] : inner;
      now = style(now, { [value === 38 ? "fg" : "bg"]: extended(rest) });
    } else if (value === 39 || value === 49) now = style(now, { [value === 39 ? "fg" : "bg"]: null });
    else {
      for (const [base, part, first] of [[30, "fg", 0], [40, "bg", 0], [90, "fg", 8], [100, "bg", 8]]) {
        if (base <= value && value < base + 8) now = style(now, { [part]: value - base + first });
      }
    }
  }
  return now;
}

function hex(color, onColor) {
  if (typeof color !== "number") return color ?? "";
  if (onColor && [0, 7, 15].includes(color)) return color === 0 ? "#000000" : "#ffffff";
  return PALETTE[color];
}

export function css(look) {
  let { fg, bg } = look;
  if (look.inverse) [fg, bg] = [bg ?? "#ffffff", fg ?? "#666666"];
  else if (bg === null && (fg === 7 || fg === 15)) fg = null;
  const lines = [look.underline && "underline", look.strike && "line-through"].filter(Boolean);
  return Object.entries({
    color: hex(fg, bg !== null),
    "background-color": hex(bg, false),
    "font-weight": look.bold ? "bold" : "",
    opacity: look.dim ? "0.7" : "",
    "font-style": look.italic ? "italic" : "",
    "text-decoration": lines.join(" "),
  }).filter(([, value]) => value).map(([name, value]) => `${name}:${value}`).join(";");
}

// ---- the terminal ---------------------------------------------------------------------------

const CONTROL =
  /\x1b\[([0-?]{0,256})[ -\/]{0,16}([@-~])|\x1b[\]PX^_][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)?|\x1b(?:[ -\/]{0,16}[0-~])?|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;
const UNFINISHED =
  /\x1b(?:\[[0-?]{0,256}[ -\/]{0,16}|[\]PX^_][^\x07\x1b\n]{0,4096}\x1b?|[ -\/]{0,16})$/;
const REORDERING = /[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const visible = (text) =>
  text.replace(REORDERING, (char) => `‹U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}›`);

// Code points of a text, as something with `length`, `slice` and places; mostly the text itself.
const points = (text) => (/[\ud800-\udfff]/.test(text) ? Array.from(text) : text);

class Row {
  pieces = []; // [text, style]; once something is written over them, one character each
  width = 0;
  split = false;
  element = null;

  put(column, text, look) {
    let cells = points(text);
    const end = column + cells.length;
    if (end > WIDTH) cells = cells.slice(0, Math.max(0, WIDTH - column));
    if (column < this.width) this.splitUp();
    if (this.split) for (let i = 0; i < cells.length; i++) this.pieces[column + i] = [cells[i], look];
    else if (cells.length) this.pieces.push([typeof cells === "string" ? cells : cells.join(""), look]);
    this.width = Math.max(this.width, end);
    return end;
  }

  eraseFrom(column) {
    if (column === 0) Object.assign(this, { pieces: [], width: 0, split: false });
    else if (column < this.width) {
      this.splitUp();
      this.pieces.length = Math.min(column, this.pieces.length);
      this.width = column;
    }
  }

  splitUp() {
    if (!this.split) this.pieces = this.pieces.flatMap(([text, look]) => Array.from(text, (char) => [char, look]));
    this.split = true;
  }

  runs() {
    const runs = [];
    let texts = [];
    this.pieces.forEach(([text, look], i) => {
      texts.push(text);
      if (this.pieces[i + 1]?.[1].key !== look.key) {
        runs.push([texts.join(""), look]);
        texts = [];
      }
    });
    const more = this.width - WIDTH;
    if (more > 0) runs.push([` … ${more.toLocaleString("en")} more characters`, MARK]);
    return runs;
  }
}

export class Screen {
  rows = [];
  dropped = 0; // how many rows have left at the top
  dirty = new Set(); // rows to draw, new ones in order
  #row = 0;
  #column = 0;
  #style = PLAIN;
  #held = "";
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor() {
    this.#newRow();
  }

  write(bytes, final = false) {
    const text = this.#held + this.#decoder.decode(bytes, { stream: !final });
    // The very last character may be the first half of the end of a sequence begun before it.
    const from = Math.max(0, text.lastIndexOf("\x1b", text.length - 2));
    const unfinished = UNFINISHED.exec(text.slice(from));
    const end = unfinished ? from + unfinished.index : text.length;
    this.#held = final ? "" : text.slice(end);
    let start = 0;
    for (const control of text.slice(0, end).matchAll(CONTROL)) {
      this.#put(text.slice(start, control.index));
      this.#obey(control[0], control[1], control[2]);
      start = control.index + control[0].length;
    }
    this.#put(text.slice(start, end));
  }

  lines() {
    const lines = this.rows.map((row) => row.runs());
    return lines.at(-1).length ? lines : lines.slice(0, -1);
  }

  #newRow() {
    const row = new Row();
    this.rows.push(row);
    this.dirty.add(row);
    if (this.rows.length <= LINES) return;
    for (const old of this.rows.splice(0, LINES / 10)) {
      old.element?.remove();
      this.dirty.delete(old);
    }
    this.dropped += LINES / 10;
    this.#row = Math.max(0, this.#row - LINES / 10);
  }

  #put(text) {
    if (!text) return;
    const row = this.rows[this.#row];
    // Never right of the line's end: no input can make more cells than it has characters.
    this.#column = row.put(Math.min(this.#column, row.width), visible(text), this.#style);
    this.dirty.add(row);
  }

  #obey(code, parameters, final) {
    if (code === "\n") {
      this.#row += 1;
      this.#column = 0;
      if (this.#row === this.rows.length) this.#newRow();
    } else if (code === "\r") this.#column = 0;
    else if (code === "\b") this.#move(1, "D");
    else if (!final || /^[<=>?]/.test(parameters)) return;
    else if (final === "m") this.#style = restyle(this.#style, parameters);
    else if (final === "K") this.#erase(number(parameters));
    else this.#move(Math.max(1, number(parameters)), final);
  }

  #erase(what) {
    if (what === 1) return;
    const row = this.rows[this.#row];
    row.eraseFrom(what === 2 ? 0 : this.#column);
    this.dirty.add(row);
  }

  #move(count, where) {
    if (where === "A" || where === "F") this.#row = Math.max(0, this.#row - count);
    else if (where === "B" || where === "E") this.#row = Math.min(this.rows.length - 1, this.#row + count);
    const width = this.rows[this.#row].width;
    if (where === "C") this.#column = Math.min(width, this.#column + count);
    else if (where === "D") this.#column = Math.max(0, Math.min(width, this.#column) - count);
    else if (where === "G") this.#column = Math.min(width, count - 1);
    else if (where === "E" || where === "F") this.#column = 0;
  }
}

// ---- the view -------------------------------------------------------------------------------

export function elapsed(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const two = (value) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor(whole / 3600) % 24} h`;
}

function size(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function make(tag, name, attributes = {}, ...children) {
  const element = document.createElement(tag);
  element.className = `jl-${name}`;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function say(element, text) {
  // Unchanged text is not set again, so that screen readers do not repeat it.
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
}

class View {
  #model;
  #id = Math.random().toString(36).slice(2, 12);
  #screen = new Screen();
  #have = 0; // bytes of the log taken, from its start
  #acknowledged = 0;
  #skipped = 0; // bytes of the log left out at its start
  #ahead = 0; // seconds the kernel's clock is ahead of ours
  #asked = 0; // when hello was said
  #follow = true;
  #top = 0;
  #drawing = false;
  #stopped = 0; // when Stop was pressed
  #lost = false; // whether the kernel has gone
  #closed = new AbortController();

  constructor(model, root) {
    this.#model = model;
    this.#build(root);
    const on = (target, event, act) => target.addEventListener(event, act, { signal: this.#closed.signal });
    on(this.stop, "click", () => this.#stop());
    on(this.copy, "click", () => this.#copy());
    on(this.toEnd, "click", () => this.#scroll((this.#follow = true)));
    on(this.log, "scroll", () => this.#scrolled());
    on(window, "pagehide", () => this.#send({ t: "bye" }));
    on(window, "pageshow", (event) => event.persisted && this.#hello());
    model.on("change:record", this.header);
    model.on("msg:custom", this.#receive);
    model.on("comm_live_update", this.#lose);
    this.timers = [setInterval(this.header, 1000), setInterval(() => this.#acknowledge(), HEARTBEAT_MS)];
    this.header();
    this.#hello();
  }

  close() {
    this.#send({ t: "bye" });
    this.#closed.abort();
    this.timers.forEach(clearInterval);
    this.#model.off("change:record", this.header);
    this.#model.off("msg:custom", this.#receive);
    this.#model.off("comm_live_update", this.#lose);
  }

  #build(root) {
    this.badge = make("span", "badge", { role: "status" });
    this.name = make("strong", "name");
    this.runId = make("code", "id");
    this.time = make("span", "time");
    this.copy = make("button", "button", { type: "button", "aria-label": "Copy the run's id" }, "Copy id");
    this.stop = make("button", "button", { type: "button" }, "Stop");
    this.facts = make("div", "facts");
    this.notices = make("div", "notices");
    this.reason = make("div", "reason", { role: "status" });
    this.hint = make("div", "hint");
    this.earlier = make("div", "earlier");
    this.text = make("div", "text");
    this.log = make("div", "log", { role: "log", "aria-live": "off", "aria-label": "Log", tabindex: "0" }, this.earlier, this.text);
    this.toEnd = make("button", "button jl-follow", { type: "button" }, "↓ Follow");
    this.earlier.hidden = this.toEnd.hidden = this.log.hidden = true;
    const head = make("div", "head", {}, this.badge, this.name, this.runId, this.time,
      make("span", "space"), this.copy, this.stop);
    const pane = make("div", "pane", {}, this.log, this.toEnd);
    root.append(make("div", "card", {}, head, this.facts, this.notices, this.reason, this.hint, pane));
  }

  // -- the record --

  header = () => {
    const record = this.#model.get("record") ?? {};
    const live = Boolean(record.state) && !record.terminal && !this.#lost;
    const now = Date.now() / 1000 + this.#ahead;
    const lost = this.#lost && !record.terminal;
    say(this.badge, record.state ? `${record.symbol} ${lost ? "was " : ""}${record.state}` : "…");
    this.badge.style.background = (!lost && record.color) || "";
    this.badge.dataset.live = live;
    say(this.name, record.name ?? "");
    say(this.runId, record.id ?? "");
    say(this.time, this.#time(record, now));
    say(this.facts, (record.facts ?? []).join(" · "));
    say(this.notices, [...(record.notices ?? []), this.#unanswered(record)].filter(Boolean).map((text) => `⚠ ${text}`).join("\n"));
    say(this.reason, record.reason || record.doing || "");
    this.reason.dataset.bad = record.state === "failed" || record.state === "crashed";
    const gone = `The kernel has gone, and this view with it. The run goes on: jupyter launch attach ${record.id}`;
    say(this.hint, lost ? gone : record.hint ?? "");
    this.copy.hidden = !record.id;
    this.stop.hidden = !live;
    this.#showStop(record);
  };

  #time(record, now) {
    if (record.started != null) return elapsed((record.ended ?? now) - record.started);
    return record.created != null && !record.terminal ? `waiting ${elapsed(now - record.created)}` : "";
  }

  #showStop(record) {
    const stopping = record.stopping || this.#stopped > 0;
    if (stopping && !this.#stopped) this.#stopped = Date.now();
    const late = stopping && Date.now() - this.#stopped > 1000 * (record.grace ?? 10);
    this.stop.textContent = late ? "Killing…" : stopping ? "Stopping…" : "Stop";
    this.stop.disabled = stopping;
  }

  #unanswered(record) {
    const waits = this.#stopped > 0 && !record.stopping && !record.terminal;
    return waits && Date.now() - this.#stopped > ANSWER_MS
      ? "The kernel is busy and has not taken up the wish to stop yet." : "";
  }

  #stop() {
    this.#stopped = Date.now();
    this.#send({ t: "stop" });
    this.header();
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.runId.textContent);
      this.copy.textContent = "Copied";
      setTimeout(() => (this.copy.textContent = "Copy id"), 1500);
    } catch {
      getSelection().selectAllChildren(this.runId); // no clipboard here: the user copies by key
    }
  }

  #lose = () => {
    this.#lost = true;
    this.header();
    this.timers.forEach(clearInterval);
  };

  // -- the log --

  #send(message) {
    try {
      this.#model.send({ ...message, v: this.#id });
    } catch {
      // The kernel is gone; the view keeps what it has.
    }
  }

  #hello() {
    this.#asked = Date.now();
    this.#acknowledged = this.#have;
    this.#send({ t: "hello", have: this.#have });
  }

  #acknowledge() {
    this.#acknowledged = this.#have;
    this.#send({ t: "ack", have: this.#have });
  }

  #receive = (message, buffers) => {
    if (message.t !== "log" || (message.v && message.v !== this.#id)) return;
    this.#ahead = message.now - Date.now() / 1000;
    const gap = message.from > this.#have;
    // Without an answer to hello, what is sent to everybody is all there is: begin in its middle.
    const late = !message.v && !this.#have && Date.now() - this.#asked > ANSWER_MS;
    if (gap && (message.skipped || late)) this.#skip(message.from);
    else if (gap) {
      if (message.v && Date.now() - this.#asked > 1000) this.#hello();
      return;
    }
    const data = buffers[0] ?? new DataView(new ArrayBuffer(0));
    const seen = this.#have - message.from;
    if (data.byteLength > seen) this.#take(new Uint8Array(data.buffer, data.byteOffset + seen, data.byteLength - seen));
  };

  #skip(offset) {
    this.#screen = new Screen();
    this.text.replaceChildren();
    this.#have = this.#acknowledged = this.#skipped = offset;
  }

  #take(bytes) {
    this.#screen.write(bytes);
    this.#have += bytes.length;
    if (this.#drawing) return;
    this.#drawing = true;
    // There are no animation frames in a hidden tab, and none to wait for.
    if (!document.hidden) requestAnimationFrame(() => this.#draw());
    setTimeout(() => this.#draw(), 250);
  }

  #draw() {
    if (!this.#drawing || this.#closed.signal.aborted) return;
    this.#drawing = false;
    this.log.hidden = false;
    const fresh = document.createDocumentFragment();
    for (const row of this.#screen.dirty) {
      if (!row.element) fresh.append((row.element = document.createElement("div")));
      row.element.replaceChildren(...row.runs().map(piece));
    }
    this.#screen.dirty.clear();
    this.text.append(fresh);
    const left = [this.#skipped && size(this.#skipped), this.#screen.dropped && `${this.#screen.dropped} lines`].filter(Boolean);
    say(this.earlier, left.length ? `… ${left.join(" and ")} earlier: jupyter launch logs ${this.runId.textContent}` : "");
    this.#scroll();
    if (this.#have - this.#acknowledged >= ACK_BYTES) this.#acknowledge();
  }

  #scroll() {
    if (this.#follow) this.log.scrollTop = this.log.scrollHeight;
    this.#top = this.log.scrollTop;
    this.toEnd.hidden = this.#follow;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.log;
    // Only moving up ends following: new lines alone also put the end out of sight.
    if (scrollHeight - scrollTop - clientHeight < 8) this.#follow = true;
    else if (scrollTop < this.#top - 1) this.#follow = false;
    this.#top = scrollTop;
    this.toEnd.hidden = this.#follow;
  }
}

function piece([text, look]) {
  const rules = css(look);
  if (!rules) return document.createTextNode(text);
  const span = document.createElement("span");
  span.style.cssText = rules;
  span.textContent = text;
  return span;
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.close();
  },
};
