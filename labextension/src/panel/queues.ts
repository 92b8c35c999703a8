// The tab of queues, each with the agents that serve it and, once it is unfolded, what waits on it.

import { button, make, say, set, write } from "../card/dom.js";
import { elapsed } from "../card/format.js";
import { menu, type Item } from "../card/menu.js";
import type { Words } from "../card/messages.js";
import { itemList, type ItemActions } from "./items.js";
import type { Asked, Drawn, ListListener, QueueRow } from "./rows.js";

const SHOWN = 200; // items

export type Turn = "pause" | "resume" | "drain";

export interface QueueActions extends ItemActions {
  /** Show the runs of a queue. */
  show(queue: string): void;
  turn(queue: QueueRow, verb: Turn): void;
  /** Be told of a list until `close` is called. */
  watch(asked: Asked, listener: ListListener): { close(): void };
}

const COLORS = { running: "#1a7f37", paused: "#9a6700", draining: "#8250df" };

export function queueRow(words: Words, actions: QueueActions): Drawn<QueueRow> {
  let row: QueueRow | null = null;
  let watched: { close(): void } | null = null;
  const items = itemList(words, actions);
  const fold = button(
    "tool",
    words.__("What waits on it"),
    () => unfold(items.node.hidden),
    "down",
  );
  const name = button("open", "", () => row && actions.show(row.id));
  const badge = make("span", "badge");
  const depth = make("span", "time");
  const where = make("div", "where");
  const agents = make("ul", "agents", { "aria-label": words.__("Agents") });
  const turn = button("button", "", () => {
    if (row) actions.turn(row, row.state === "running" ? "pause" : "resume");
  });
  const offered = (): Item[] => {
    const queue = row;
    if (!queue) return [];
    const drain: Item = [words.__("Drain: take nothing more"), () => actions.turn(queue, "drain")];
    return [
      [words.__("Show its runs"), () => actions.show(queue.id)],
      ...(queue.state === "draining" ? [] : [drain]),
    ];
  };
  const seen = new Map<string, HTMLElement>();

  const watch = (): void => {
    if (!row || items.node.hidden) return;
    watched?.close();
    watched = actions.watch({ what: "items", queue: row.id, limit: SHOWN }, items);
  };
  const leave = (): void => {
    watched?.close();
    watched = null;
  };
  const unfold = (open: boolean): void => {
    items.node.hidden = !open;
    set(fold, "aria-expanded", open);
    if (open) watch();
    else leave();
  };
  const tick = (now: number): void => {
    if (!watched) watch(); // it is seen again
    for (const { id, heartbeat } of row?.serving ?? []) {
      const node = seen.get(id);
      // In steps: a heartbeat comes every few seconds, and its age need not flicker.
      const age = Math.max(0, Math.floor((now - heartbeat) / 5) * 5);
      if (node) write(node, age ? words.__("heard of %1 ago", elapsed(age)) : words.__("alive"));
    }
    if (watched) items.tick();
  };
  const tools = make("div", "tools", {}, turn, menu(words.__("More"), offered));
  const node = make(
    "li",
    "queue",
    {},
    make("div", "top", {}, fold, name, badge, depth),
    make("div", "bottom", {}, where, tools),
    agents,
    items.node,
  );
  unfold(false);
  return {
    node,
    tick,
    leave,
    draw: (queue) => {
      row = queue;
      set(node, "data-queue", queue.id);
      write(name, queue.name);
      set(name, "title", words.__("Show its runs"));
      set(fold, "aria-label", words.__("What waits on %1", queue.name));
      write(badge, words.__(queue.state));
      badge.style.backgroundColor = COLORS[queue.state];
      const most = queue.max_running === null ? "" : ` ${words.__("of %1", queue.max_running)}`;
      say(depth, words.__("%1 waiting · %2 running", queue.pending, `${queue.running}${most}`));
      const none = queue.serving.length ? "" : words.__("no agent");
      say(where, [queue.entity, queue.resource, none].filter(Boolean).join(" · "));
      write(turn, queue.state === "running" ? words.__("Pause") : words.__("Resume"));
      items.draw(queue);
      seen.clear();
      agents.replaceChildren(
        ...queue.serving.map(({ id, host, status, runs, max_jobs }) => {
          const pulse = make("span", "time");
          seen.set(id, pulse);
          const busy = words.__("%1 of %2 runs", runs, max_jobs);
          return make(
            "li",
            "agent",
            { title: id },
            `${host} · ${words.__(status)} · ${busy} · `,
            pulse,
          );
        }),
      );
    },
  };
}
