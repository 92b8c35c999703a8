// Search in the whole log, which somebody else does; here is what is asked for and what was found.

import { button, listen, make, own, say, set, told } from "./dom.js";
import { grouped } from "./format.js";
import type { Hits, Query, Words } from "./messages.js";

const PAUSE_MS = 250;
const HITS = 1000;

/** What is searched. */
export interface Searched {
  find(query: Query, start: number, limit: number): Promise<Hits>;
  /** The first line in view: the search goes on from there. */
  top(): number;
  mark(pattern: RegExp | null, line: number | null): void;
  focus(): void;
}

export interface Search {
  readonly node: HTMLElement;
  show(): void;
}

export function search(words: Words, searched: Searched): Search {
  const label = words.__("Search the log");
  const attributes = { placeholder: label, "aria-label": label, spellcheck: "false" };
  const input = make("input", "input", attributes);
  const count = make("span", "count", { role: "status" });
  let hits: Hits = { lines: [], more: false };
  let at = -1;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let newest = 0; // request

  const toggle = (text: string, title: string): HTMLButtonElement => {
    const made = button("tool", text, () => {
      set(made, "aria-pressed", !pressed(made));
      void begin();
    });
    for (const name of ["aria-label", "title"]) set(made, name, title);
    set(made, "aria-pressed", false);
    return made;
  };
  const pressed = (made: HTMLElement): boolean => made.getAttribute("aria-pressed") === "true";
  const byCase = toggle("Aa", words.__("Match case"));
  const byRegex = toggle(".*", words.__("Regular expression"));
  const query = (): Query => ({
    text: input.value,
    case: pressed(byCase),
    regex: pressed(byRegex),
  });

  const tell = (text: string): void => {
    say(count, text);
    count.title = text;
  };
  /** Ask for hits from a line on, beside those that are known. Says whether there was an answer. */
  const more = async (start: number): Promise<boolean> => {
    const request = ++newest;
    try {
      const found = await searched.find(query(), start, HITS);
      if (request !== newest) return false;
      hits = { lines: [...hits.lines, ...found.lines], more: found.more };
      return true;
    } catch (error) {
      if (request === newest) tell(told(error));
      return false;
    }
  };
  const jump = (): void => {
    const { length } = hits.lines;
    const all = grouped(length) + (hits.more ? "+" : "");
    tell(length ? words.__("%1 of %2", grouped(at + 1), all) : words.__("No match"));
    searched.mark(pattern(query()), hits.lines[at] ?? null);
  };
  const stop = (): void => {
    newest++;
    tell("");
    searched.mark(null, null);
  };
  const begin = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const top = searched.top();
    hits = { lines: [], more: false };
    at = -1;
    if (!input.value) stop();
    else if (await more(0)) {
      const below = hits.lines.findIndex((line) => line >= top);
      at = below < 0 ? hits.lines.length - 1 : below;
      jump();
    }
  };
  const step = async (by: number): Promise<void> => {
    if (timer || at < 0) return begin();
    const next = at + by;
    // Past the last hit there may be more of them, or new lines by now.
    if (next === hits.lines.length && !(await more((hits.lines[at] ?? 0) + 1))) return;
    const { length } = hits.lines;
    at = (next + length) % length;
    jump();
  };
  const close = (): void => {
    node.hidden = true;
    stop();
    searched.focus();
  };
  const tools = [
    button("tool", words.__("Previous match (Shift+Enter)"), () => void step(-1), "up"),
    button("tool", words.__("Next match (Enter)"), () => void step(1), "down"),
    button("tool", words.__("Close search (Escape)"), close, "close"),
  ];
  const node = make("div", "search", { role: "search" }, input, byCase, byRegex, count, ...tools);
  node.hidden = true;
  listen(input, "input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void begin(), PAUSE_MS);
  });
  listen(node, "keydown", (event) => {
    const { key } = event;
    if (key === "Escape") close();
    else if (key === "F3" || (key === "Enter" && event.target === input)) {
      void step(event.shiftKey ? -1 : 1);
    } else return;
    own(event);
  });
  return {
    node,
    show: () => {
      node.hidden = false;
      input.focus();
      input.select();
      if (input.value) void begin();
    },
  };
}

/** What to mark in the lines; `null` where this page's idea of expressions is another. */
export function pattern(query: Query): RegExp | null {
  const source = query.regex ? query.text : query.text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  try {
    return new RegExp(source, query.case ? "g" : "gi");
  } catch {
    return null;
  }
}
