// What lists are made of, and drawing them: a change repaints the row it belongs to, and no other.

import type { LinkState, RunRecord } from "../card/messages.js";

/** What is to be listed. */
export interface Asked {
  what: "runs" | "queues" | "items" | "jobs";
  state?: readonly string[];
  queue?: string;
  notebook?: string;
  text?: string;
  limit?: number;
}

export interface Listed {
  id: string;
}

/** A run as the list shows it. */
export interface RunRow
  extends
    Listed,
    Pick<
      RunRecord,
      | "state"
      | "symbol"
      | "color"
      | "terminal"
      | "name"
      | "program"
      | "reason"
      | "created"
      | "started"
      | "ended"
      | "stopping"
      | "relaunchable"
    > {
  queue: string | null;
  priority: string;
  /** How many runs will be taken from its queue before it. */
  ahead: number | null;
  notebook: string | null;
  cell: string | null;
}

export interface AgentRow {
  id: string;
  host: string;
  status: string;
  heartbeat: number;
  /** How many runs it holds, and how many it may. */
  runs: number;
  max_jobs: number;
}

export interface QueueRow extends Listed {
  entity: string;
  name: string;
  resource: string;
  state: "running" | "paused" | "draining";
  prioritize: boolean;
  max_running: number | null;
  pending: number;
  running: number;
  serving: AgentRow[];
}

export const PRIORITIES = ["critical", "high", "medium", "low"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** What waits on a queue. */
export interface ItemRow extends Listed, Pick<RunRow, "name" | "program" | "created"> {
  priority: Priority;
  /** What for, besides those before it. */
  waits_for: string;
}

export interface JobRow extends Listed {
  versions: { ref: string; aliases: string[]; at: number }[];
}

/** What is different in a list: rows that are new or changed, and the order of all. */
export interface Rows {
  t: "rows";
  v: string;
  now?: number;
  changed?: Listed[];
  ids?: string[];
  more?: boolean;
  /** Why there is no list. */
  message?: string;
}

export interface ListListener {
  onRows(rows: Rows): void;
  onLink(state: LinkState): void;
}

/** One row in the page. */
export interface Drawn<T> {
  readonly node: HTMLElement;
  draw(row: T): void;
  /** Draw what changes with time alone. */
  tick?(now: number): void;
  /** Nobody sees it for now, or any more. */
  leave?(): void;
}

/** Keeps one node for each row as long as it is listed. */
export class Table<T extends Listed> {
  readonly drawn = new Map<string, Drawn<T>>();
  readonly rows = new Map<string, T>();
  ids: string[] = [];
  #ahead = 0; // seconds the server's clock is ahead of ours

  constructor(readonly make: () => Drawn<T>) {}

  /** The server's time, in Unix seconds. */
  get now(): number {
    return Date.now() / 1000 + this.#ahead;
  }

  take({ now, changed, ids }: Rows): void {
    if (now) this.#ahead = now - Date.now() / 1000;
    for (const row of (changed ?? []) as T[]) {
      // After a lost connection all rows come again.
      if (JSON.stringify(row) === JSON.stringify(this.rows.get(row.id))) continue;
      const drawn = this.drawn.get(row.id) ?? this.make();
      this.drawn.set(row.id, drawn);
      this.rows.set(row.id, row);
      drawn.draw(row);
      drawn.tick?.(this.now);
    }
    if (!ids) return;
    this.ids = ids.filter((id) => this.rows.has(id));
    const here = new Set(ids);
    for (const id of [...this.rows.keys()]) {
      if (here.has(id)) continue;
      this.drawn.get(id)?.leave?.();
      this.rows.delete(id);
      this.drawn.delete(id);
    }
  }

  node(id: string): HTMLElement | undefined {
    return this.drawn.get(id)?.node;
  }

  tick(): void {
    for (const drawn of this.drawn.values()) drawn.tick?.(this.now);
  }
}

/** Put nodes into an element in this order; those that are in place are not touched. */
export function arrange(parent: HTMLElement, nodes: readonly HTMLElement[]): void {
  const focused = document.activeElement as HTMLElement | null;
  const wanted = new Set<Element>(nodes);
  for (const node of [...parent.children]) if (!wanted.has(node)) node.remove();
  let at = parent.firstElementChild;
  for (const node of nodes) {
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  // What is put elsewhere loses the focus.
  if (focused !== document.activeElement && parent.contains(focused)) focused?.focus();
}
