// The rows of a log that are on the screen, of as many lines as there may be.
//
// The scroll space is as high as all lines would be if none were wrapped, and a view that stays in
// its place shows what belongs there. What decides is the anchor: a line, and where in the view it
// stands. At the top of the space it stands at the view's top, at its end at the view's end, so that
// rows may have any height and nothing is out of reach. A short log is simply there as a whole.

import type { Log } from "./chunks.js";
import { make } from "./dom.js";
import { Row, type Manner } from "./row.js";

const SHORT = 100; // lines that are drawn as a whole
const LIMIT_PX = 8_000_000; // browsers draw no higher elements well
const LINGER_MS = 250; // how often the scroll bar follows the log

interface Anchor {
  line: number;
  part: number; // how much of that line is above `y`, 0 to 1
  y: number;
}

export class List {
  readonly node: HTMLElement;
  /** Whether the newest lines are shown as they come. */
  following = true;
  onFollowing: () => void = () => undefined;
  /** Lines are looked at that are not here. */
  onMissing: (first: number, end: number) => void = () => undefined;
  /** Something here has to be drawn. */
  onChange: () => void = () => undefined;

  readonly #space = make("div", "space");
  readonly #view = make("div", "view");
  readonly #body = make("div", "rows");
  readonly #probe = make("div", "probe", { "aria-hidden": "true" }, "M");
  readonly #sizes: ResizeObserver;
  #rows: Row[] = [];
  #height = 0; // of the view
  #lineHeight = 18;
  #position = 0; // px from the top, were every line drawn and none wrapped
  #scrolled = 0; // scrollTop as we know it
  #anchor: Anchor = { line: 0, part: 0, y: 0 };
  #adjusted = 0; // when the scroll bar was
  #later: ReturnType<typeof setTimeout> | null = null;
  readonly #log: Log;

  constructor(
    log: Log,
    readonly manner: Manner,
    label: string,
  ) {
    this.#log = log;
    this.node = make("div", "log", {
      role: "log",
      "aria-live": "off",
      "aria-label": label,
      tabindex: "0",
    });
    this.#view.append(this.#body);
    this.#space.append(this.#view);
    this.node.append(this.#space, this.#probe);
    this.node.addEventListener("scroll", () => this.#scroll(), { passive: true });
    this.#sizes = new ResizeObserver((entries) => this.#resize(entries));
    this.#sizes.observe(this.node);
    this.#sizes.observe(this.#probe);
  }

  dispose(): void {
    if (this.#later) clearTimeout(this.#later);
    this.#sizes.disconnect();
  }

  /** Start over with another log in the same place. */
  reset(): void {
    this.#rows = [];
    this.#body.replaceChildren();
    this.follow();
  }

  follow(on = true): void {
    if (!on && this.following) {
      this.#position = Math.max(0, this.#virtualHeight - this.#height);
      this.#anchor = { line: this.#log.total, part: 0, y: this.#height };
    }
    const changed = on !== this.following;
    this.following = on;
    this.#adjusted = 0;
    if (changed) this.onFollowing();
    this.onChange();
  }

  /** Bring a line into view. */
  reveal(line: number): void {
    this.follow(false);
    const y = this.#height / 3;
    if (this.#short) {
      this.#drawRows(0, this.#log.total);
      this.node.scrollTop = (this.#rows[line]?.element.offsetTop ?? 0) - y;
      return;
    }
    const top = line * this.#lineHeight - y;
    this.#position = Math.min(Math.max(0, top), this.#virtualHeight - this.#height);
    this.#anchor = { line, part: 0, y: top < 0 ? line * this.#lineHeight : y };
    this.#adjust();
  }

  /** The first line that can be seen, about. */
  get top(): number {
    if (this.#short) return Math.floor(this.node.scrollTop / this.#lineHeight);
    const pixels = this.following ? this.#virtualHeight - this.#height : this.#position;
    return Math.floor(pixels / this.#lineHeight);
  }

  /** Make the list as high as it will be with its rows. */
  reserve(): void {
    this.node.style.setProperty("--jl-lines", String(Math.min(this.#log.total, SHORT)));
    this.node.classList.toggle("jl-long", !this.#short);
  }

  draw(now: number): void {
    const { total } = this.#log;
    const { numbers, times } = this.manner;
    const digits = numbers ? String(total).length : 0;
    const gutter = digits + (times ? 8 : 0) + (numbers && times ? 2 : 0);
    this.node.style.setProperty("--jl-gutter", gutter ? `${gutter + 2}ch` : "0px");
    if (this.following && this.#selected()) this.follow(false);
    if (this.#short) {
      this.#body.style.transform = "";
      this.#space.style.height = "";
      this.#drawRows(0, total);
      if (this.following) this.node.scrollTop = LIMIT_PX;
    } else this.#drawPart(now);
  }

  get #short(): boolean {
    return this.#log.total <= SHORT;
  }

  get #virtualHeight(): number {
    return this.#log.total * this.#lineHeight;
  }

  #drawPart(now: number): void {
    const lineHeight = this.#lineHeight;
    const height = this.#height;
    if (this.following) this.#anchor = { line: this.#log.total, part: 0, y: height };
    const { line, part, y } = this.#anchor;
    const first = Math.max(0, line - Math.ceil(y / lineHeight) - 1);
    const below = this.following ? 0 : Math.ceil((height - y) / lineHeight) + 2;
    const end = Math.min(this.#log.total, line + below);
    this.#drawRows(first, end);
    this.#body.classList.toggle("jl-last", this.following);
    let shift = "";
    if (!this.following) {
      let top = y - this.#offset(line, part);
      if (end === this.#log.total) top = Math.max(top, height - this.#body.offsetHeight);
      if (first === 0) top = Math.min(top, 0);
      shift = `translateY(${top}px)`;
    }
    this.#body.style.transform = shift;
    if (now - this.#adjusted >= LINGER_MS) {
      this.#adjusted = now;
      this.#adjust();
    } else this.#later ??= setTimeout(this.#adjustLater, LINGER_MS);
  }

  readonly #adjustLater = (): void => {
    this.#later = null;
    this.onChange();
  };

  /** How far down among the rows the anchor is, px. */
  #offset(line: number, part: number): number {
    const row = this.#rows[line - (this.#rows[0]?.number ?? 0)]?.element;
    return row ? row.offsetTop + part * row.offsetHeight : this.#body.offsetHeight;
  }

  #drawRows(first: number, end: number): void {
    const inside = ({ number }: Row): boolean => number >= first && number < end;
    const kept = this.#rows.filter(inside);
    const spare = this.#rows.filter((row) => !inside(row));
    // Where all rows change they stay where they are, and only what they say is another.
    if (kept.length) for (const { element } of spare) element.remove();
    const keptFrom = kept[0]?.number ?? end;
    let stream = this.#log.line(first - 1)?.stream ?? 0;
    const missing: number[] = [];
    this.#rows = [];
    for (let number = first; number < end; number++) {
      const row = kept[number - keptFrom] ?? spare.shift() ?? new Row();
      const line = this.#log.line(number);
      if (!line) missing.push(number);
      row.show(number, line, stream, this.manner);
      stream = line?.stream ?? 0;
      this.#rows.push(row);
    }
    for (const { element } of spare) element.remove();
    let next = this.#body.firstElementChild;
    for (const { element } of this.#rows) {
      if (element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(element, next);
    }
    if (missing.length) this.onMissing(missing[0] ?? 0, (missing[missing.length - 1] ?? 0) + 1);
  }

  // -- scrolling -----------------------------------------------------------------------------------

  /** Make the scroll bar tell where we are. */
  #adjust(): void {
    const whole = this.#virtualHeight;
    this.#space.style.height = `${Math.min(whole, LIMIT_PX)}px`;
    const range = Math.max(1, Math.min(whole, LIMIT_PX) - this.#height);
    const top = this.following
      ? range
      : (this.#position / Math.max(1, whole - this.#height)) * range;
    if (this.following || Math.abs(top - this.#scrolled) > 1) this.node.scrollTop = top;
    this.#scrolled = this.node.scrollTop;
  }

  #scroll(): void {
    const top = this.node.scrollTop;
    const moved = top - this.#scrolled;
    this.#scrolled = top;
    const range = this.node.scrollHeight - this.#height;
    const atEnd = top >= range - 2;
    if (this.#short) {
      if (this.following !== atEnd) this.follow(atEnd);
      return;
    }
    if (this.following && moved >= -1) return;
    const scale = (this.#virtualHeight - this.#height) / Math.max(1, range);
    const furthest = this.#virtualHeight - this.#height;
    if (this.following) this.follow(false);
    if (atEnd && moved > 0) {
      this.follow();
      return;
    }
    // In a space too small for all lines, wheel and keys move as usual, the scroll bar in leaps.
    const near = scale > 1.01 && Math.abs(moved) < 3 * this.#height;
    const wanted = near ? this.#position + moved : scale > 1.01 ? top * scale : top;
    this.#position = top <= 0 ? 0 : Math.min(Math.max(0, wanted), furthest);
    const y =
      Math.min(1, Math.max(0, (this.#position - furthest) / this.#height + 1)) * this.#height;
    const at = (this.#position + y) / this.#lineHeight;
    this.#anchor = { line: Math.floor(at), part: at % 1, y };
    this.onChange();
  }

  #resize(entries: ResizeObserverEntry[]): void {
    for (const { target, contentRect } of entries) {
      if (target === this.#probe) this.#lineHeight = contentRect.height || this.#lineHeight;
      else if (contentRect.height) this.#height = contentRect.height;
    }
    this.#adjusted = 0;
    this.onChange();
  }

  #selected(): boolean {
    const selection = getSelection();
    return Boolean(
      selection && !selection.isCollapsed && this.#body.contains(selection.anchorNode),
    );
  }
}
