// The runs panel: tabs of runs, queues and jobs, live as long as somebody sees them.

import { listen, make, say, set, toClipboard, told } from "../card/dom.js";
import { keepKeys } from "../card/keys.js";
import type { Words } from "../card/messages.js";
import type { Server } from "../server.js";
import { Widget } from "@lumino/widgets";
import { jobRow } from "./jobs.js";
import { queueRow, type QueueActions } from "./queues.js";
import {
  arrange,
  Table,
  type Asked,
  type Drawn,
  type JobRow,
  type Listed,
  type ListListener,
  type QueueRow,
} from "./rows.js";
import type { RunActions } from "./run.js";
import { runsTab, type Filter } from "./runs.js";

const TICK_MS = 1000;

export const TABS = ["runs", "queues", "jobs"] as const;
export type TabName = (typeof TABS)[number];

/** What the panel lets the application do. */
export interface Host {
  open(run: { id: string; name?: string }): void;
  goTo(notebook: string, cell: string | null): Promise<void>;
}

interface Tab extends ListListener {
  readonly node: HTMLElement;
  readonly asked: Asked;
  tick(): void;
  leave?(): void;
}

export class RunsPanel extends Widget {
  readonly #words: Words;
  readonly #server: Server;
  readonly #host: Host;
  readonly #bar = make("div", "tabs", { role: "tablist" });
  readonly #body = make("div", "body", { role: "tabpanel", tabindex: "-1" });
  readonly #told = make("div", "told", { role: "status" });
  readonly #tabs: Record<TabName, Tab>;
  readonly #runs;
  readonly #release: () => void;
  #shown: TabName = "runs";
  #offered: readonly TabName[] = TABS;
  #list: ReturnType<Server["list"]> | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(server: Server, words: Words, host: Host) {
    super();
    [this.#server, this.#words, this.#host] = [server, words, host];
    this.#runs = runsTab(words, this.#actions(), () => this.#list?.ask(this.#runs.asked));
    const queues = new Table<QueueRow>((): Drawn<QueueRow> =>
      queueRow(words, this.#queues(queues)),
    );
    const jobs = new Table<JobRow>(() => this.#job());
    this.#tabs = {
      runs: this.#runs,
      queues: whole("queues", words.__("No queues yet."), queues),
      jobs: whole("jobs", words.__("No jobs yet."), jobs),
    };
    this.addClass("jl-panel");
    this.node.append(this.#bar, this.#told, this.#body);
    this.#release = keepKeys(this.node);
    listen(this.#bar, "keydown", (event) => this.#step(event));
    this.#draw();
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.#leave();
      this.#release();
    }
    super.dispose();
  }

  /** Which tab is in front. */
  get tab(): TabName {
    return this.#shown;
  }

  /** Bring a tab to the front. */
  bring(tab: TabName): void {
    if (this.#offered.includes(tab)) this.#become(tab);
  }

  /** Offer only some tabs. */
  offer(tabs: readonly TabName[]): void {
    this.#offered = TABS.filter((tab) => tabs.includes(tab));
    this.#become(this.#offered.includes(this.#shown) ? this.#shown : (this.#offered[0] ?? "runs"));
  }

  filter(filter: Partial<Filter>): void {
    this.#runs.filter(filter);
  }

  protected override onAfterShow(): void {
    this.#look();
  }

  protected override onAfterAttach(): void {
    if (this.isVisible) this.#look();
  }

  protected override onBeforeHide(): void {
    this.#leave();
  }

  protected override onBeforeDetach(): void {
    this.#leave();
  }

  protected override onActivateRequest(): void {
    this.#bar.querySelector<HTMLElement>("[aria-selected=true]")?.focus();
  }

  #become(tab: TabName): void {
    const other = tab !== this.#shown;
    this.#shown = tab;
    this.#draw();
    if (other && this.#list) this.#look();
  }

  #look(): void {
    this.#leave();
    const tab = this.#tabs[this.#shown];
    this.#list = this.#server.list(tab.asked, tab);
    this.#timer = setInterval(() => {
      if (!document.hidden) tab.tick();
    }, TICK_MS);
  }

  #leave(): void {
    clearInterval(this.#timer);
    this.#list?.close();
    this.#list = null;
    for (const tab of Object.values(this.#tabs)) tab.leave?.();
  }

  #draw(): void {
    const words = this.#words;
    const labels: Record<TabName, string> = {
      runs: words.__("Runs"),
      queues: words.__("Queues"),
      jobs: words.__("Jobs"),
    };
    const focused = this.#bar.contains(document.activeElement);
    const buttons = this.#offered.map((name) => {
      const made = make("button", "tabname", { type: "button", role: "tab" }, labels[name]);
      set(made, "aria-selected", name === this.#shown);
      made.tabIndex = name === this.#shown ? 0 : -1;
      listen(made, "click", () => this.bring(name));
      return made;
    });
    this.#bar.replaceChildren(...buttons);
    this.#bar.hidden = buttons.length < 2;
    set(this.#bar, "aria-label", words.__("Launched runs"));
    set(this.#body, "aria-label", labels[this.#shown]);
    arrange(this.#body, [this.#tabs[this.#shown].node]);
    if (focused) this.#bar.querySelector<HTMLElement>("[aria-selected=true]")?.focus();
  }

  #step(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = this.#offered.indexOf(this.#shown) + step;
    const next = this.#offered.at(at % this.#offered.length);
    if (next) this.bring(next);
    event.preventDefault();
  }

  #actions(): RunActions {
    return {
      open: (run) => this.#host.open(run),
      stop: (run, kill) => this.#try(() => this.#server.stop(run.id, kill)),
      relaunch: (run) => this.#try(() => this.#server.relaunch(run.id, undefined)),
      goTo: (run) => {
        if (run.notebook) {
          const { notebook, cell } = run;
          this.#try(() => this.#host.goTo(notebook, cell));
        }
      },
      copyId: (run) => this.#copy(run.id),
    };
  }

  #queues(all: Table<QueueRow>): QueueActions {
    const change = (run: string, body: object): void =>
      this.#try(() => this.#server.request(`runs/${encodeURIComponent(run)}`, body, "PATCH"));
    return {
      open: (run) => this.#host.open(run),
      stop: (run) => this.#try(() => this.#server.stop(run.id, false)),
      prioritize: (run, priority) => change(run, { priority }),
      move: (run, { name, entity }) => change(run.id, { queue: name, ...(entity && { entity }) }),
      others: (than) => [...all.rows.values()].filter((queue) => queue.id !== than),
      show: (queue) => {
        this.bring("runs");
        this.filter({ queue, text: "", state: "", notebook: "" });
      },
      turn: ({ name, entity }, verb) => {
        const whose = entity ? `?entity=${encodeURIComponent(entity)}` : "";
        const path = `queues/${encodeURIComponent(name)}/${verb}${whose}`;
        this.#try(() => this.#server.request(path, {}));
      },
      watch: (asked, listener) => this.#server.list(asked, listener),
    };
  }

  #job(): ReturnType<typeof jobRow> {
    return jobRow(this.#words, {
      copy: (text) => this.#copy(text),
      launch: (job) =>
        this.#try(async () => {
          const run = await this.#server.request<{ id: string; name: string }>("runs", {
            spec: { job },
          });
          this.#host.open(run);
        }),
    });
  }

  #copy(text: string): void {
    this.#try(async () => this.#say(await toClipboard(this.#words, text)));
  }

  #try(what: () => Promise<unknown>): void {
    this.#say("");
    what().catch((error: unknown) => this.#say(told(error)));
  }

  #say(text: string): void {
    say(this.#told, text);
  }
}

/** Make a tab that lists something whole. */
function whole<T extends Listed>(what: "queues" | "jobs", none: string, table: Table<T>): Tab {
  const list = make("ul", "list");
  const note = make("p", "note", { role: "status" });
  return {
    node: make("div", "tab", {}, make("div", "scroll", {}, list, note)),
    asked: { what },
    tick: () => table.tick(),
    leave: () => {
      for (const drawn of table.drawn.values()) drawn.leave?.();
    },
    onLink: (state) => set(list, "data-link", state),
    onRows: (rows) => {
      table.take(rows);
      arrange(
        list,
        table.ids.flatMap((id) => table.node(id) ?? []),
      );
      say(note, rows.message ?? (table.ids.length ? "" : none));
    },
  };
}
