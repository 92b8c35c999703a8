// What is above a run's log: how it is doing, why, and what can be done about it.

import { chart, type Chart } from "./chart.js";
import { button, listen, make, say, set, write } from "./dom.js";
import { elapsed } from "./format.js";
import { menu, type Item } from "./menu.js";
import type { SavedRun, Words } from "./messages.js";

/** `live`: fed now; `saved`: as a notebook keeps it. */
export type Liveness = "live" | "reconnecting" | "saved";

/** What can be asked for; nobody waits for it. */
export interface Actions {
  stop(kill: boolean): unknown;
  relaunch(): unknown;
  edit(): unknown;
  copyAs(form: "magic" | "python" | "cli"): unknown;
  copyId(): unknown;
  /** What else is offered for a run that is fed. */
  more(): Item[];
  show(run: string): void;
  file(download: boolean): unknown;
  /** The feeder's time, in Unix seconds. */
  now(): number;
}

export interface Head {
  readonly node: HTMLElement;
  readonly chart: Chart;
  /** Draw what has changed. */
  draw(record: SavedRun, liveness: Liveness): void;
  /** Draw what changes with time alone. */
  tick(): void;
  /** Say something beside what the record says; empty: no more. */
  tell(text: string): void;
  /** Note that the user wants it stopped, before the record says so; `false`: it did not work. */
  wanted(stop: boolean): void;
}

export function head(words: Words, actions: Actions): Head {
  const charts = chart(words);
  const badge = make("span", "badge", { role: "status" });
  const name = make("strong", "name");
  const id = button("id", "", () => actions.copyId());
  const time = make("span", "time");
  const link = make("span", "link", { role: "status" });
  const attempts = make("select", "attempts", { "aria-label": words.__("Attempts") });
  const stop = button("button", "", () => {
    if (stop.ariaDisabled !== "true") actions.stop(stopped());
  });
  const again = button("button", words.__("Re-launch"), () => actions.relaunch());
  const facts = make("div", "facts");
  const notices = make("div", "notices");
  const reason = make("div", "reason", { role: "status" });
  const hint = make("div", "hint");
  let record: SavedRun = {};
  let liveness: Liveness = "saved";
  let pressed = 0; // how often Stop was, for this run
  let said = "";

  const live = (): boolean => liveness === "live" && Boolean(record.state);
  const stopped = (): boolean => pressed > 0 || record.stopping === true;

  const offered = (): Item[] => {
    const items: Item[] = [];
    if (live() && record.relaunchable !== false) {
      if (again.hidden) items.push([words.__("Re-launch"), () => actions.relaunch()]);
      items.push([words.__("Edit and re-launch…"), () => actions.edit()]);
    }
    if (live()) {
      items.push(
        [words.__("Copy as magic"), () => actions.copyAs("magic")],
        [words.__("Copy as Python"), () => actions.copyAs("python")],
        [words.__("Copy as command line"), () => actions.copyAs("cli")],
        [words.__("Open the whole log in a tab"), () => actions.file(false)],
        [words.__("Download the log"), () => actions.file(true)],
        ...actions.more(),
      );
    }
    return [...items, [words.__("Copy the run's id"), () => actions.copyId()]];
  };

  const drawState = (): void => {
    const state = record.state ?? "";
    const lost = liveness === "saved" && !record.terminal && Boolean(state);
    const shown = lost ? words.__("was %1", words.__(state)) : words.__(state);
    say(badge, state ? `${record.symbol ?? ""} ${shown}` : "…");
    badge.style.backgroundColor = lost ? "" : (record.color ?? "");
    set(badge, "data-live", live() && !record.terminal);
    set(reason, "data-bad", /^(failed|crashed)$/.test(state));
    const links: Record<Liveness, string> = {
      live: "",
      reconnecting: words.__("reconnecting…"),
      saved: words.__("saved"),
    };
    say(link, links[liveness]);
  };
  const drawAttempts = (): void => {
    const all = live() ? (record.attempts ?? []) : [];
    attempts.hidden = all.length < 2;
    const labels = all.map(({ symbol, id }, i) => words.__("%1 attempt %2: %3", symbol, i + 1, id));
    if (labels.join() !== attempts.title) {
      attempts.title = labels.join();
      attempts.replaceChildren(...all.map((one, i) => new Option(labels[i], one.id)));
    }
    attempts.value = record.id ?? "";
  };
  const drawStop = (): void => {
    const killing = record.killing === true || pressed > 1;
    const asked = stopped() ? words.__("Kill") : words.__("Stop");
    const focused = document.activeElement === stop;
    write(stop, killing ? words.__("Killing…") : asked);
    set(stop, "aria-disabled", killing);
    stop.hidden = !live() || record.terminal === true;
    again.hidden = !live() || !record.terminal || record.relaunchable === false;
    // Who pressed it last goes on from where it was.
    if (focused && stop.hidden) (again.hidden ? (more.firstChild as HTMLElement) : again).focus();
  };
  const tick = (): void => {
    const { created, started, ended, terminal } = record;
    const until = ended ?? (liveness === "saved" ? null : actions.now());
    let text = "";
    if (until !== null && started) text = elapsed(until - started);
    else if (until !== null && created && !terminal) {
      text = words.__("waiting %1", elapsed(until - created));
    }
    say(time, text);
  };
  const draw = (newRecord: SavedRun, newLiveness: Liveness): void => {
    if (newRecord.id !== record.id) [pressed, said] = [0, ""];
    [record, liveness] = [newRecord, newLiveness];
    drawState();
    say(name, record.name ?? "");
    set(name, "title", record.program ?? "");
    say(id, record.id ?? "");
    say(facts, (record.facts ?? []).join(" · "));
    const all = [...(record.notices ?? []), said].filter(Boolean);
    say(notices, all.map((text) => `⚠ ${text}`).join("\n"));
    say(reason, [record.reason, record.doing].find(Boolean) ?? "");
    say(hint, record.hint ?? "");
    drawAttempts();
    drawStop();
    tick();
  };

  id.title = words.__("Copy the run's id");
  listen(attempts, "change", () => actions.show(attempts.value));
  const more = menu(words.__("More"), offered);
  const title = make("div", "title", {}, badge, name, id, time, attempts, link);
  const tools = make("div", "tools", {}, stop, again, more);
  const top = make("div", "top", {}, title, charts.node, tools);
  return {
    node: make("div", "head", {}, top, facts, notices, reason, hint),
    chart: charts,
    draw,
    tick,
    tell: (text) => {
      said = text;
      draw(record, liveness);
    },
    wanted: (on) => {
      pressed = on ? pressed + 1 : 0;
      drawStop();
    },
  };
}
