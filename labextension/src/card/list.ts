// The rows of a log that are on the screen, of as many lines as there may be.
//
// The scroll space is as high as all lines would be if none were wrapped, and a view that stays in
// its place shows what belongs there. What decides is the anchor: a line, and where in the view it
// stands. At the top of the space it stands at the view's top, at its end at the view's end, so that
// rows may have any height and nothing is out of reach. A short log is simply there as a whole.

import type { Log } from "./chunks.js";
import { listen, make } from "./dom.js";
import type { Manner } from "./row.js";
import { rows } from "./rows.js";

const { abs, ceil, floor, max, min } = Math;

const SHORT = 100; // lines that are drawn as a whole
const LIMIT_PX = 8_000_000; // browsers draw no higher elements well
const EDGE_PX = 100_000; // so far from both ends the scroll bar is exact
const LINGER_MS = 250; // how often the scroll bar follows the log
const WAY_MS = 1000; // how long a browser takes to scroll smoothly, at most

interface Anchor {
  line: number;
  part: number; // how much of that line is above `y`, 0 to 1
  y: number;
}

export interface List {
  readonly node: HTMLElement;
  /** Whether the newest lines are shown as they come. */
  following(): boolean;
  follow(): void;
  /** Begin anew with another log in the same place. */
  reset(): void;
  /** Bring a line into view. */
  reveal(line: number): void;
  /** The first line that can be seen, about. */
  top(): number;
  /** Make the list as high as it will be with its rows. */
  reserve(): void;
  draw(now: number): void;
  dispose(): void;
}

/** What a list tells. */
export interface Listener {
  /** Whether the newest lines are followed is another; all has to be drawn. */
  following: () => void;
  /** Lines are looked at that are not here. */
  missing: (first: number, end: number) => void;
  /** Something here has to be drawn. */
  changed: () => void;
}

export function list(log: Log, manner: Manner, label: string, tell: Listener): List {
  const body = rows(log, manner);
  const probe = make("div", "probe", { "aria-hidden": "true" }, "M");
  const view = make("div", "view", {}, body.node);
  const space = make("div", "space", {}, view);
  const role = { role: "log", "aria-live": "off", "aria-label": label, tabindex: "0" };
  const node = make("div", "log", role, space, probe);
  let following = true;
  let height = 0; // of the view
  let pitch = 18; // from line to line
  let position = 0; // px from the top, were every line drawn and none wrapped
  let scrolled = 0; // scrollTop as we know it
  let anchor: Anchor = { line: 0, part: 0, y: 0 };
  let adjusted = 0; // when the scroll bar was
  let touched = 0; // when the user scrolled last, or began to, since the newest lines are followed
  let followed = 0; // when that was last decided
  let later: ReturnType<typeof setTimeout> | undefined;

  const short = (): boolean => log.total <= SHORT;
  const whole = (): number => log.total * pitch;
  const furthest = (): number => max(0, whole() - height);
  const within = (most: number, value: number): number => max(0, min(value, most));

  /** Have a place, counted in lines, stand so far below the view's top. */
  const stand = (at: number, y: number): void => {
    anchor = { line: floor(at), part: at % 1, y };
  };
  const follow = (on = true): void => {
    if (!on && following) position = furthest();
    following = on;
    adjusted = touched = 0;
    followed = performance.now();
    tell.following();
  };
  /** How far one can scroll. */
  const range = (): number => max(0, min(whole(), LIMIT_PX) - height);
  /** Give the place in a range that belongs to a place in another: the same near both ends. */
  const mapped = (place: number, from: number, to: number): number => {
    if (from === to || place <= EDGE_PX) return place;
    if (place >= from - EDGE_PX) return to - (from - place);
    return EDGE_PX + ((place - EDGE_PX) * (to - 2 * EDGE_PX)) / (from - 2 * EDGE_PX);
  };
  /** Make the scroll bar tell where we are. */
  const adjust = (): void => {
    if (short()) {
      if (following) node.scrollTop = LIMIT_PX;
      return;
    }
    space.style.height = `${min(whole(), LIMIT_PX)}px`;
    const top = following ? range() : mapped(position, furthest(), range());
    if (following || abs(top - scrolled) > 1) node.scrollTop = top;
    scrolled = node.scrollTop;
  };
  const drawRows = (first: number, end: number): void => {
    const missing = body.draw(first, end);
    if (missing) tell.missing(...missing);
  };
  /** Draw what is around the anchor. */
  const drawPart = (now: number): void => {
    if (following) stand(log.total, height);
    const { line, part, y } = anchor;
    const first = max(0, line - ceil(y / pitch) - 1);
    const below = following ? 0 : ceil((height - y) / pitch) + 2;
    const end = min(log.total, line + below);
    drawRows(first, end);
    body.node.classList.toggle("jl-last", following);
    let shift = "";
    if (!following) {
      let top = y - body.offset(line, part);
      if (end === log.total) top = max(top, height - body.node.offsetHeight);
      if (first === 0) top = min(top, 0);
      shift = `translateY(${top}px)`;
    }
    body.node.style.transform = shift;
    view.style.height = `${height}px`;
    if (now - max(adjusted, touched) >= LINGER_MS) {
      adjusted = now;
      adjust();
    } else {
      later ??= setTimeout(() => {
        later = undefined;
        tell.changed();
      }, LINGER_MS);
    }
  };

  listen(node, "scroll", ({ timeStamp }) => {
    const top = node.scrollTop;
    const moved = top - scrolled;
    const atEnd = top >= node.scrollHeight - node.clientHeight - 2;
    scrolled = top;
    if (short()) {
      if (following !== atEnd) follow(atEnd);
      // Should it become a long one while it stands here, it stays here.
      position = top;
      stand(top / pitch, 0);
      return;
    }
    if (following) {
      // A new theme, or a new size, moves it as well, to the new end: nobody wished to stay behind.
      if (moved >= -1 || atEnd) return;
      // Nor did who asked for the end while a smooth way up still goes on.
      if (!touched && timeStamp - followed < WAY_MS) {
        adjust();
        return;
      }
      follow(false);
    }
    touched = timeStamp;
    if (atEnd && moved > 0) {
      follow();
      return;
    }
    // In a space too small for all lines, wheel and keys move as usual, the scroll bar in leaps.
    const exact = furthest() === range() || top < EDGE_PX || top > range() - EDGE_PX;
    const step = !exact && abs(moved) < 3 * height;
    position = step ? position + moved : mapped(top, range(), furthest());
    position = within(furthest(), position);
    const y = within(1, (position - furthest()) / height + 1) * height;
    stand((position + y) / pitch, y);
    tell.changed();
  });
  // The scroll bar, were it moved now, would end a way that has begun before its first step.
  const begun = ({ timeStamp }: Event): void => void (touched = timeStamp);
  for (const way of ["wheel", "keydown", "pointerdown"]) {
    node.addEventListener(way, begun, { passive: true });
  }
  const sizes = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      if (target === probe) pitch = contentRect.height || pitch;
      else height = contentRect.height || height;
    }
    adjusted = 0;
    tell.changed();
  });
  sizes.observe(node);
  sizes.observe(probe);
  // What the user is about to copy must not go away.
  const select = (): void => {
    const selection = following ? getSelection() : null;
    if (selection && !selection.isCollapsed && node.contains(selection.anchorNode)) follow(false);
  };
  document.addEventListener("selectionchange", select);

  return {
    node,
    follow: () => {
      follow();
      adjust(); // a key that comes before the next frame leads away from the end
    },
    following: () => following,
    reset: () => {
      body.clear();
      follow();
    },
    reveal: (line) => {
      follow(false);
      const y = height / 3;
      if (short()) {
        drawRows(0, log.total);
        node.scrollTop = body.offset(line, 0) - y;
        return;
      }
      position = within(furthest(), line * pitch - y);
      stand(line, min(y, line * pitch));
      adjust();
    },
    top: () => floor((short() ? node.scrollTop : following ? furthest() : position) / pitch),
    reserve: () => {
      node.style.setProperty("--jl-lines", `${min(log.total, SHORT)}`);
      node.classList.toggle("jl-long", !short());
    },
    draw: (now) => {
      const { numbers, times } = manner;
      const digits = numbers ? String(log.total).length : 0;
      const gutter = digits + (times ? 8 : 0) + (numbers && times ? 2 : 0);
      node.style.setProperty("--jl-gutter", `${gutter && gutter + 2}ch`);
      if (short()) {
        body.node.style.transform = space.style.height = view.style.height = "";
        drawRows(0, log.total);
        adjust();
      } else drawPart(now);
    },
    dispose: () => {
      clearTimeout(later);
      sizes.disconnect();
      document.removeEventListener("selectionchange", select);
    },
  };
}
