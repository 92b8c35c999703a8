// A run's row: how it is doing, where it came from, what can be done about it.

import { button, make, say, set, write } from "../card/dom.js";
import { elapsed } from "../card/format.js";
import { menu, type Item } from "../card/menu.js";
import type { Words } from "../card/messages.js";
import type { Drawn, RunRow } from "./rows.js";

export interface RunActions {
  open(run: RunRow): void;
  stop(run: RunRow, kill: boolean): void;
  relaunch(run: RunRow): void;
  goTo(run: RunRow): void;
  copyId(run: RunRow): void;
}

export function runRow(words: Words, actions: RunActions): Drawn<RunRow> {
  let row: RunRow | null = null;
  const act = (what: (row: RunRow) => void) => (): void => {
    if (row) what(row);
  };
  const badge = make("span", "badge");
  const name = button(
    "open",
    "",
    act((run) => actions.open(run)),
  );
  const time = make("span", "time");
  const where = make("div", "where");
  const stop = button(
    "button",
    words.__("Stop"),
    act((run) => actions.stop(run, run.stopping)),
  );
  const again = button(
    "button",
    words.__("Re-launch"),
    act((run) => actions.relaunch(run)),
  );
  const offered = (): Item[] => {
    if (!row) return [];
    const items: Item[] = [[words.__("Open the log"), act((run) => actions.open(run))]];
    if (row.cell) items.push([words.__("Go to the cell"), act((run) => actions.goTo(run))]);
    else if (row.notebook) {
      items.push([words.__("Open the notebook"), act((run) => actions.goTo(run))]);
    }
    if (again.hidden && row.relaunchable) {
      items.push([words.__("Re-launch"), act((run) => actions.relaunch(run))]);
    }
    return [...items, [words.__("Copy the run's id"), act((run) => actions.copyId(run))]];
  };
  const tools = make("div", "tools", {}, stop, again, menu(words.__("More"), offered));
  const top = make("div", "top", {}, badge, name, time);
  const node = make("li", "run", {}, top, make("div", "bottom", {}, where, tools));

  const tick = (now: number): void => {
    if (!row) return;
    const { created, started, ended, terminal } = row;
    let text = "";
    if (started) text = elapsed((ended ?? now) - started);
    else if (!terminal) text = words.__("waiting %1", elapsed(now - created));
    say(time, text);
  };
  return {
    node,
    tick,
    draw: (run) => {
      row = run;
      set(node, "data-run", run.id);
      set(node, "data-state", run.state);
      write(badge, `${run.symbol} ${words.__(run.state)}`);
      badge.style.backgroundColor = run.color;
      write(name, run.name || run.id);
      set(name, "title", `${run.program}\n${run.id}`);
      set(name, "aria-label", words.__("Open the log of %1, %2", run.name || run.id, run.state));
      say(where, place(run, words));
      set(where, "title", run.reason);
      write(stop, run.stopping ? words.__("Kill") : words.__("Stop"));
      stop.hidden = run.terminal;
      again.hidden = !run.terminal || !run.relaunchable;
    },
  };
}

function place(run: RunRow, words: Words): string {
  const said = [];
  if (run.queue) said.push(run.queue.replace(/^.*\//, ""));
  if (run.ahead === 0) said.push(words.__("next"));
  else if (run.ahead) said.push(words.__("%1 ahead", run.ahead));
  if (run.notebook) said.push(run.notebook.replace(/^.*\//, ""));
  if (run.reason) said.push(run.reason);
  return said.join(" · ");
}
