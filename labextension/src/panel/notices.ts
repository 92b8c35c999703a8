// Telling the user that a run has ended, wherever in the application they are.

import { Notification as Notices } from "@jupyterlab/apputils";

import { elapsed } from "../card/format.js";
import type { RunRecord, Words } from "../card/messages.js";
import type { Server } from "../server.js";
import type { Rows, RunRow } from "./rows.js";

const OPEN = ["pending", "leased", "starting", "running", "stopping"];
const RECENT = 20;
const SHOWN_MS = 10_000;

type Ended = Pick<RunRecord, "id" | "name" | "state" | "terminal" | "started" | "ended" | "reason">;

export interface Wishes {
  /** Whether to tell it in the application. */
  inside: boolean;
  /** Whether the browser tells it, too. */
  outside: boolean;
}

/**
 * Tell of runs that end from now on.
 * @param open Shows a run's log.
 */
export function notices(
  server: Server,
  words: Words,
  wishes: () => Wishes,
  open: (run: { id: string; name: string }) => void,
): void {
  const told = new Set<string>();
  const asked = performance.now();
  let since: number | null = null; // when that was by the server's clock

  const tell = (run: Ended): void => {
    if (!run.terminal || run.ended === null || told.has(run.id)) return;
    told.add(run.id);
    if (since === null || run.ended < since || watched(run.id)) return;
    const took = run.started ? elapsed(run.ended - run.started) : "";
    const message = [`${run.name}: ${words.__(run.state)}`, took, run.reason]
      .filter(Boolean)
      .join(" · ");
    const { inside, outside } = wishes();
    if (inside) {
      const actions = [{ label: words.__("Open the log"), callback: () => open(run) }];
      Notices.emit(message, kind(run.state), { autoClose: SHOWN_MS, actions });
    }
    if (outside && "Notification" in window && Notification.permission === "granted") {
      // Other pages of this browser tell the same: the tag makes it one.
      const shown = new Notification(words.__("Launched run"), { body: message, tag: run.id });
      shown.onclick = (): void => {
        window.focus();
        open(run);
      };
    }
  };

  // Those that end at once are seen among the newest; those that take long, by being open no more.
  server.list(
    { what: "runs", limit: RECENT },
    {
      onLink: () => undefined,
      onRows: ({ now, changed }: Rows) => {
        if (now) since ??= now - (performance.now() - asked) / 1000;
        for (const run of (changed ?? []) as RunRow[]) tell(run);
      },
    },
  );
  let before: string[] = [];
  server.list(
    { what: "runs", state: OPEN, limit: 1000 },
    {
      onLink: () => undefined,
      onRows: ({ ids }: Rows) => {
        if (!ids) return;
        const here = new Set(ids);
        for (const id of before) {
          if (here.has(id) || told.has(id)) continue;
          server.request<Ended>(`runs/${encodeURIComponent(id)}`).then(tell, () => undefined);
        }
        before = ids;
      },
    },
  );
}

function kind(state: string): "success" | "error" | "info" {
  if (state === "finished") return "success";
  return state === "failed" || state === "crashed" ? "error" : "info";
}

/** Whether the user is looking at the run as it ends. */
function watched(id: string): boolean {
  if (document.hidden) return false;
  const cards = document.querySelectorAll(`.jl-card[data-run="${CSS.escape(id)}"]`);
  return [...cards].some((card) => {
    const { top, bottom, width } = card.getBoundingClientRect();
    return width > 0 && bottom > 0 && top < innerHeight;
  });
}
