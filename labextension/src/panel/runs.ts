// The tab of runs: the newest first, narrowed down and grouped as the user likes.

import { button, listen, make, say, set, write } from "../card/dom.js";
import type { LinkState, Words } from "../card/messages.js";
import { arrange, Table, type Asked, type ListListener, type Rows, type RunRow } from "./rows.js";
import { runRow, type RunActions } from "./run.js";

const PAGE = 50; // rows
const MOST = 1000;
const TYPING_MS = 200;
const OPEN = ["pending", "leased", "starting", "running", "stopping"];
const ENDED = ["finished", "failed", "stopped", "preempted", "crashed"];

/** What the rows are narrowed down to. */
export interface Filter {
  text: string;
  state: string;
  queue: string;
  notebook: string;
  grouped: boolean;
}

export interface RunsTab extends ListListener {
  readonly node: HTMLElement;
  readonly asked: Asked;
  filter(change: Partial<Filter>): void;
  tick(): void;
}

/**
 * Make the tab.
 * @param ask Called when something else is to be listed.
 */
export function runsTab(words: Words, actions: RunActions, ask: () => void): RunsTab {
  const table = new Table<RunRow>(() => runRow(words, actions));
  const filter: Filter = { text: "", state: "", queue: "", notebook: "", grouped: false };
  const headings = new Map<string, HTMLElement>();
  const seen = { queue: new Set<string>(), notebook: new Set<string>() };
  let limit = PAGE;
  let more = false;

  const list = make("ul", "list", { "aria-label": words.__("Runs") });
  const note = make("p", "note", { role: "status" });
  const next = button("button jl-next", words.__("Show more"), () => grow());
  const text = make("input", "input", {
    type: "search",
    placeholder: words.__("Filter by name, id, program"),
    "aria-label": words.__("Filter by name, id, program"),
  });
  const state = choice(words.__("State"), () => change({ state: state.value }));
  const queue = choice(words.__("Queue"), () => change({ queue: queue.value }));
  const notebook = choice(words.__("Notebook"), () => change({ notebook: notebook.value }));
  const group = button("button", words.__("Group by notebook"), () => {
    change({ grouped: !filter.grouped });
  });

  const options = (): void => {
    const names = (all: Set<string>, chosen: string): [string, string][] =>
      [...new Set([...all, ...(chosen ? [chosen] : [])])].sort().map((name) => [name, name]);
    offer(state, filter.state, [
      ["", words.__("Any state")],
      ["open", words.__("Not ended")],
      ["ended", words.__("Ended")],
      ...[...OPEN, ...ENDED].map((name): [string, string] => [name, words.__(name)]),
    ]);
    offer(queue, filter.queue, [["", words.__("Any queue")], ...names(seen.queue, filter.queue)]);
    offer(notebook, filter.notebook, [
      ["", words.__("Any notebook")],
      ...names(seen.notebook, filter.notebook),
    ]);
    set(group, "aria-pressed", filter.grouped);
  };
  const narrowed = (): boolean =>
    Boolean(filter.text || filter.state || filter.queue || filter.notebook);
  const heading = (name: string): HTMLElement => {
    const known = headings.get(name);
    if (known) return known;
    const made = make("li", "group", { title: name }, name || words.__("No notebook"));
    headings.set(name, made);
    return made;
  };
  const draw = (): void => {
    const groups = new Map<string, HTMLElement[]>();
    for (const id of table.ids) {
      const name = filter.grouped ? (table.rows.get(id)?.notebook ?? "") : "";
      const group = groups.get(name) ?? (filter.grouped ? [heading(name)] : []);
      const node = table.node(id);
      if (node) group.push(node);
      groups.set(name, group);
    }
    arrange(list, [...groups.values()].flat());
    set(list, "data-count", String(table.ids.length));
    next.hidden = !more || limit >= MOST;
    let said = "";
    if (!table.ids.length) {
      said = narrowed()
        ? words.__("No run is like that.")
        : words.__("No runs yet. A cell that begins with %%launch makes one.");
    } else if (more && limit >= MOST) {
      said = words.__("These are the newest %1: the filter finds older ones.", MOST);
    }
    say(note, said);
  };
  const change = (changes: Partial<Filter>): void => {
    const before = JSON.stringify({ ...filter, grouped: null });
    Object.assign(filter, changes);
    // What is being typed is not taken away by what else changes meanwhile.
    if (changes.text !== undefined && changes.text !== text.value) text.value = changes.text;
    options();
    if (JSON.stringify({ ...filter, grouped: null }) === before) draw();
    else {
      limit = PAGE;
      ask();
    }
  };
  const grow = (): void => {
    limit = Math.min(MOST, 2 * limit);
    ask();
  };

  let timer: ReturnType<typeof setTimeout> | undefined;
  listen(text, "input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => change({ text: text.value }), TYPING_MS);
  });
  listen(list, "keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !(event.target as Element).matches(".jl-open")) return;
    const names = [...list.querySelectorAll<HTMLElement>(".jl-open")];
    names[names.indexOf(event.target as HTMLElement) + step]?.focus();
    event.preventDefault();
  });
  const seeker = new IntersectionObserver((entries) => {
    if (entries.some(({ isIntersecting }) => isIntersecting) && !next.hidden) grow();
  });
  seeker.observe(next);
  options();
  say(note, words.__("Looking…"));
  next.hidden = true;
  const filters = make("div", "filters", {}, text, state, queue, notebook, group);
  return {
    node: make("div", "tab", {}, filters, make("div", "scroll", {}, list, next, note)),
    get asked(): Asked {
      const { text, queue, notebook } = filter;
      const states = { open: OPEN, ended: ENDED }[filter.state] ?? [filter.state];
      return {
        what: "runs",
        limit,
        ...(filter.state && { state: states }),
        ...(text && { text }),
        ...(queue && { queue }),
        ...(notebook && { notebook }),
      };
    },
    filter: change,
    tick: () => table.tick(),
    onRows: (rows: Rows) => {
      if (rows.message !== undefined) {
        say(note, rows.message);
        return;
      }
      table.take(rows);
      more = rows.more === true;
      for (const { queue, notebook } of table.rows.values()) {
        if (queue) seen.queue.add(queue);
        if (notebook) seen.notebook.add(notebook);
      }
      options();
      draw();
    },
    onLink: (state: LinkState) => {
      set(list, "data-link", state);
      if (state === "connected") return;
      const said = state === "lost" ? words.__("There is no such server.") : "";
      write(note, said || words.__("reconnecting…"));
      note.hidden = false;
    },
  };
}

function choice(label: string, act: () => void): HTMLSelectElement {
  const made = make("select", "choice", { "aria-label": label });
  listen(made, "change", act);
  return made;
}

/** Let a user choose among these; what is offered already stays as it is. */
function offer(choice: HTMLSelectElement, chosen: string, all: [string, string][]): void {
  const said = JSON.stringify(all);
  if (choice.dataset.offered !== said) {
    choice.dataset.offered = said;
    choice.replaceChildren(...all.map(([value, label]) => new Option(label, value)));
  }
  choice.value = chosen;
}
