// What changed from one attempt to another, below a card's head.

import { button, listen, make, own, told } from "./dom.js";
import type { Ask, SavedRun, Words } from "./messages.js";

export interface Changes {
  readonly node: HTMLElement;
  /** Compare a run with the attempt that it was launched from, or with the one before it. */
  open(record: SavedRun, ask: Ask): void;
  close(): void;
}

const KINDS: Record<string, string> = { "+": "added", "-": "removed", "@": "place" };

export function changes(words: Words): Changes {
  const other = make("select", "attempts", { "aria-label": words.__("Compared with") });
  const label = words.__("What changed");
  const shown = make("pre", "changes", { role: "region", "aria-label": label, tabindex: "0" });
  const close = (): void => node.remove();
  const done = button("tool", words.__("Close"), close, "close");
  const bar = make("div", "buttons", {}, make("span", "hint", {}, label), other, done);
  const node = make("div", "editor", {}, bar, shown);
  let asked = 0;
  let choose = (): void => undefined;

  const draw = (lines: string[]): void => {
    const rows = lines.map((line) => {
      const title = /^(---|\+\+\+) /.test(line);
      return make("div", title ? "titled" : (KINDS[line.charAt(0)] ?? "same"), {}, line || " ");
    });
    shown.replaceChildren(...(rows.length ? rows : [words.__("Nothing changed.")]));
  };
  const compare = async (ask: Ask): Promise<void> => {
    const mine = ++asked;
    shown.replaceChildren("…");
    try {
      const { lines } = await ask("diff", { with: other.value });
      if (mine === asked) draw(lines);
    } catch (error) {
      if (mine === asked) shown.replaceChildren(told(error));
    }
  };

  listen(other, "change", () => choose());
  listen(node, "keydown", (event) => {
    if (event.key !== "Escape") return;
    close();
    own(event);
  });
  return {
    node,
    close,
    open: ({ id, parent, attempts = [] }, ask) => {
      const named = attempts.map((one, i): [string, string] => [one.id, attempt(words, one, i)]);
      const at = attempts.findIndex((one) => one.id === id);
      const before = parent ?? attempts[at - 1]?.id ?? attempts.find((one) => one.id !== id)?.id;
      const others = named.filter(([name]) => name !== id);
      other.replaceChildren(...others.map(([name, text]) => new Option(text, name)));
      other.value = before ?? "";
      choose = () => void compare(ask);
      other.focus();
      choose();
    },
  };
}

/** Name one of several attempts. */
function attempt(words: Words, { symbol, id }: { symbol: string; id: string }, at: number): string {
  return words.__("%1 attempt %2: %3", symbol, at + 1, id);
}
