// The tab of queues, each with the agents that serve it.

import { button, make, say, write } from "../card/dom.js";
import { elapsed } from "../card/format.js";
import type { Words } from "../card/messages.js";
import type { Drawn, QueueRow } from "./rows.js";

/**
 * Make a queue's row.
 * @param show Shows the runs of a queue.
 */
export function queueRow(words: Words, show: (queue: string) => void): Drawn<QueueRow> {
  let row: QueueRow | null = null;
  const name = button("open", "", () => row && show(row.id));
  const depth = make("span", "time");
  const where = make("div", "where");
  const agents = make("ul", "agents", { "aria-label": words.__("Agents") });
  const top = make("div", "top", {}, name, depth);
  const seen = new Map<string, HTMLElement>();
  const tick = (now: number): void => {
    for (const { id, heartbeat } of row?.serving ?? []) {
      const node = seen.get(id);
      // In steps: a heartbeat comes every few seconds, and its age need not flicker.
      const age = Math.max(0, Math.floor((now - heartbeat) / 5) * 5);
      if (node) write(node, age ? words.__("heard of %1 ago", elapsed(age)) : words.__("alive"));
    }
  };
  return {
    node: make("li", "queue", {}, top, where, agents),
    tick,
    draw: (queue) => {
      row = queue;
      write(name, queue.name);
      name.title = words.__("Show its runs");
      say(depth, words.__("%1 waiting · %2 running", queue.pending, queue.running));
      const entity = queue.entity ? `${queue.entity} · ` : "";
      const none = queue.serving.length ? "" : ` · ${words.__("no agent")}`;
      say(where, `${entity}${queue.resource}${none}`);
      seen.clear();
      agents.replaceChildren(
        ...queue.serving.map(({ id, host, status }) => {
          const pulse = make("span", "time");
          seen.set(id, pulse);
          return make("li", "agent", { title: id }, `${host} · ${words.__(status)} · `, pulse);
        }),
      );
    },
  };
}
