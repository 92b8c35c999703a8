// What waits on a queue, in its order: by priority, then by age. An item is given another priority
// by its menu, or by being dragged to those that have it.

import { button, listen, make, own, say, set, write } from "../card/dom.js";
import { elapsed } from "../card/format.js";
import { menu, type Item } from "../card/menu.js";
import type { Words } from "../card/messages.js";
import {
  arrange,
  PRIORITIES,
  Table,
  type Drawn,
  type ItemRow,
  type ListListener,
  type Priority,
  type QueueRow,
  type Rows,
} from "./rows.js";

export interface ItemActions {
  open(item: ItemRow): void;
  stop(item: ItemRow): void;
  prioritize(item: string, priority: Priority): void;
  move(item: ItemRow, to: QueueRow): void;
  /** Give the queues that an item of this one can be moved to. */
  others(than: string): QueueRow[];
}

export interface Items extends ListListener {
  readonly node: HTMLElement;
  /** Draw what the queue says of itself. */
  draw(queue: QueueRow): void;
  tick(): void;
}

export function itemList(words: Words, actions: ItemActions): Items {
  let queue: QueueRow | null = null;
  let dragged = "";
  const table = new Table<ItemRow>(() => itemRow(words, actions, () => queue));
  const list = make("ul", "items", { "aria-label": words.__("What waits on it") });
  const note = make("p", "note", { role: "status" });
  const headings = new Map(
    PRIORITIES.map((name) => {
      const label = words.__("%1 priority", words.__(name));
      return [name, make("li", "level", { "data-priority": name }, label)];
    }),
  );

  const draw = (): void => {
    const byAge = !queue?.prioritize;
    const nodes: HTMLElement[] = [];
    for (const level of byAge ? [null] : PRIORITIES) {
      const ids = table.ids.filter((id) => !level || table.rows.get(id)?.priority === level);
      const heading = level && headings.get(level);
      // While something is dragged, it can go also where nothing is.
      if (heading && (ids.length || dragged)) nodes.push(heading);
      nodes.push(...ids.flatMap((id) => table.node(id) ?? []));
    }
    arrange(list, nodes);
    const more = (queue?.pending ?? 0) - table.ids.length;
    say(note, more > 0 && table.ids.length ? words.__("and %1 more", more) : "");
    if (!table.ids.length) say(note, words.__("Nothing waits on it."));
  };
  const level = (event: Event): Priority | undefined => {
    if (!dragged || !queue?.prioritize) return undefined;
    const over = (event.target as Element).closest<HTMLElement>("[data-priority]");
    return over?.dataset.priority as Priority | undefined;
  };
  const mark = (over: Priority | undefined): void => {
    for (const [name, heading] of headings) set(heading, "data-over", name === over);
  };
  listen(list, "dragstart", (event) => {
    dragged = (event.target as Element).closest<HTMLElement>("[data-run]")?.dataset.run ?? "";
    event.dataTransfer?.setData("text/plain", dragged);
    event.stopPropagation();
    setTimeout(draw); // the browser gives up on a drag whose start changes what is around it
  });
  listen(list, "dragover", (event) => {
    const over = level(event);
    mark(over);
    if (over) own(event);
  });
  listen(list, "drop", (event) => {
    const over = level(event);
    if (!over) return;
    own(event);
    if (table.rows.get(dragged)?.priority !== over) actions.prioritize(dragged, over);
  });
  listen(list, "dragend", () => {
    dragged = "";
    mark(undefined);
    draw();
  });
  listen(list, "keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !(event.target as Element).matches(".jl-open")) return;
    const names = [...list.querySelectorAll<HTMLElement>(".jl-open")];
    names[names.indexOf(event.target as HTMLElement) + step]?.focus();
    event.preventDefault();
  });
  say(note, words.__("Looking…"));
  return {
    node: make("div", "waiting", {}, list, note),
    draw: (now) => {
      queue = now;
      draw();
    },
    tick: () => table.tick(),
    onRows: (rows: Rows) => {
      table.take(rows);
      draw();
      if (rows.message !== undefined) say(note, rows.message);
    },
    onLink: (state) => set(list, "data-link", state),
  };
}

function itemRow(words: Words, actions: ItemActions, queue: () => QueueRow | null): Drawn<ItemRow> {
  let row: ItemRow | null = null;
  const name = button("open", "", () => row && actions.open(row));
  const time = make("span", "time");
  const why = make("div", "where");
  const offered = (): Item[] => {
    const [item, here] = [row, queue()];
    if (!item || !here) return [];
    const levels = here.prioritize ? PRIORITIES.filter((level) => level !== item.priority) : [];
    return [
      ...levels.map((level): Item => [
        words.__("Make its priority %1", words.__(level)),
        () => actions.prioritize(item.id, level),
      ]),
      ...actions
        .others(here.id)
        .map((to): Item => [words.__("Move to %1", to.name), () => actions.move(item, to)]),
      [words.__("Stop"), () => actions.stop(item)],
    ];
  };
  const tools = make("div", "tools", {}, menu(words.__("More"), offered));
  const node = make(
    "li",
    "item-row",
    { draggable: "true" },
    make("div", "top", {}, name, time, tools),
    why,
  );
  return {
    node,
    tick: (now) => row && say(time, elapsed(Math.max(0, Math.floor(now - row.created)))),
    draw: (item) => {
      row = item;
      set(node, "data-run", item.id);
      set(node, "data-priority", item.priority);
      write(name, item.name || item.id);
      set(name, "title", `${item.program}\n${item.id}`);
      set(name, "aria-label", words.__("Open the log of %1, %2", item.name || item.id, "pending"));
      say(why, item.waits_for);
    },
  };
}
