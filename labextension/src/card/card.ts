// The card of one run: what a notebook keeps of it, and the live view once somebody feeds it.

import { make, say, set, toClipboard, told } from "./dom.js";
import { editor } from "./edit.js";
import { feed, type Feed } from "./feed.js";
import { inFrame, waiting } from "./frames.js";
import { head, type Head, type Liveness } from "./head.js";
import { AGAIN, type Host, type Wish } from "./host.js";
import { keepKeys } from "./keys.js";
import { logPane, type LogPane } from "./log.js";
import { ENGLISH, type Live, type SavedRun, type Transport } from "./messages.js";
import { source } from "./source.js";

const TICK_MS = 1000;
const SPEAK_MS = 5000;
const BUSY_MS = 2000;
const MARGIN = 128; // so many lines before the end may still change

export class Card {
  readonly node: HTMLElement;

  readonly #head: Head;
  readonly #source = source(() => this.#schedule());
  readonly #pane: LogPane;
  readonly #editor;
  readonly #speech = make("div", "sr", { role: "status", "aria-live": "polite" });
  readonly #seen: IntersectionObserver;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #release: () => void; // of the keys that are kept
  #record: SavedRun = {};
  #transport: Transport | null = null;
  #feed: Feed | null = null;
  #fed = false; // whether what is shown comes from a feeder
  #liveness: Liveness = "saved";
  #launching = false;
  #ahead = 0; // seconds the feeder's clock is ahead of ours
  #visible = false;
  #spoken = 0; // when

  constructor(
    root: HTMLElement,
    readonly words = ENGLISH,
    readonly host: Host = {},
  ) {
    this.#head = head(words, {
      stop: (kill) => this.#stop(kill),
      relaunch: () => this.#act(() => this.#relaunch()),
      edit: () => this.#act(() => this.#edit()),
      copyAs: (form) => this.#act(() => this.#copyAs(form)),
      copyId: () => this.#copied(this.run),
      more: () => (this.#feed && host.more?.(this.#record, this.#feed.ask)) ?? [],
      show: (id) => this.show({ ...this.#origin(), id }),
      file: (download) => this.#pane.file(download),
      now: () => Date.now() / 1000 + this.#ahead,
    });
    this.#pane = logPane(words, this.#source, {
      draw: () => this.#schedule(),
      follow: () => this.#follow(),
      run: () => this.run,
      url: (download) => {
        const known = this.live && this.#transport;
        return known ? known.logUrl(this.run, download) : null;
      },
    });
    this.#editor = editor(words, (spec) => this.#relaunch(spec));
    this.node = make("div", "card", { role: "region", "aria-label": words.__("Launched run") });
    this.node.append(this.#head.node, this.#pane.node, this.#speech);
    this.node.addEventListener(AGAIN, (event) => {
      if (!this.#transport) return;
      event.preventDefault();
      const edit = (event as CustomEvent<Wish>).detail.edit;
      void this.#act(() => (edit ? this.#edit() : this.#relaunch()));
    });
    this.#release = keepKeys(this.node);
    root.append(this.node);
    this.#seen = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: "200px" });
    this.#seen.observe(this.node);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    document.addEventListener("visibilitychange", this.#follow);
  }

  dispose(): void {
    this.#feed?.close();
    clearInterval(this.#timer);
    waiting.delete(this.#draw);
    document.removeEventListener("visibilitychange", this.#follow);
    this.#release();
    this.#seen.disconnect();
    this.#pane.list.dispose();
    this.node.remove();
  }

  /** Id of the run that is shown. */
  get run(): string {
    return this.#record.id ?? "";
  }

  /** Whether what is shown is not merely what a notebook keeps. */
  get live(): boolean {
    return this.#liveness !== "saved";
  }

  /** Show a run as a notebook keeps it; live, if a feeder is there. */
  show(record: SavedRun): void {
    this.#feed?.close();
    this.#feed = null;
    this.#fed = false;
    this.#record = record;
    this.host.keeper?.reset();
    this.#head.chart.add(null);
    this.#editor.close();
    this.#source.restore(record.tail ?? "");
    this.#pane.reset(record.earlier ? this.words.__("the end of a longer log") : "");
    this.#become("saved");
    this.#watch();
  }

  /** Have the run fed from now on. */
  connect(transport: Transport): void {
    this.#transport = transport;
    this.#watch();
  }

  // -- the feed ------------------------------------------------------------------------------------

  #watch(wanted = this.#visible): void {
    const { id, terminal } = this.#record;
    // A run that has ended waits until somebody looks: a notebook may have many.
    if (!this.#transport || this.#feed || !id || (terminal && !wanted)) return;
    const { log } = this.#source;
    this.#feed = feed(this.#transport, id, {
      have: () => (this.#fed ? Math.max(0, Math.min(log.known, log.total) - MARGIN) : 0),
      onLive: (message, bytes) => this.#take(message, bytes),
      onState: (state) => {
        if (this.#fed && state !== "connected") this.#become(state === "lost" ? "saved" : state);
      },
      onGone: () => {
        this.#feed?.close();
        this.#feed = null;
        this.#become("saved");
        this.host.onGone?.();
      },
    });
    this.#follow();
  }

  #take(message: Live, bytes: Uint8Array): void {
    const { now, record, samples, log, total } = message;
    this.#ahead = now - Date.now() / 1000;
    if (!this.#fed && (log ?? total !== undefined)) {
      this.#fed = true;
      this.#source.log.resize(0);
      this.#pane.reset("");
    }
    if (!this.#record.terminal) {
      this.host.keeper?.note(record !== undefined && record.state !== this.#record.state);
    }
    if (record?.terminal && !this.#record.terminal && this.host.keeper) void this.#end(record);
    else if (record) this.#record = { ...this.#record, ...record };
    if (samples) this.#head.chart.add(samples);
    this.#source.take(log, bytes, total);
    if (record ?? this.#liveness !== "live") this.#become("live");
    this.#schedule();
  }

  /** Show that a run has ended, once the notebook can keep it so: who then saves, saves that. */
  async #end(record: SavedRun): Promise<void> {
    const feed = this.#feed;
    if (!feed) return;
    await this.host.keeper?.look(feed.ask, true);
    if (this.#feed !== feed) return;
    this.#record = { ...this.#record, ...record };
    this.#become(this.#liveness);
  }

  #become(liveness: Liveness): void {
    if (liveness !== this.#liveness || liveness === "saved") {
      this.#source.connect(liveness === "live" ? (this.#feed?.ask ?? null) : null);
    }
    this.#liveness = liveness;
    set(this.node, "data-run", this.run);
    set(this.node, "data-state", this.#record.state ?? "");
    set(this.node, "data-live", liveness);
    this.#head.draw(this.#record, liveness);
    this.#pane.reserve();
    this.#schedule();
  }

  readonly #follow = (): void => {
    this.#feed?.follow(this.#drawing && this.#pane.list.following());
    this.#schedule();
  };

  #see(entries: IntersectionObserverEntry[]): void {
    this.#visible = entries.at(-1)?.isIntersecting ?? false;
    this.#watch();
    this.#follow();
  }

  // -- what the user wants -------------------------------------------------------------------------

  async #act(what: () => Promise<void>): Promise<void> {
    try {
      this.#head.tell("");
      await what();
    } catch (error) {
      this.#head.tell(told(error));
    }
  }

  async #stop(kill: boolean): Promise<void> {
    const busy = this.words.__("Not taken up yet: the kernel may be busy.");
    const timer = setTimeout(() => this.#head.tell(busy), BUSY_MS);
    this.#head.wanted(true);
    await this.#act(async () => {
      try {
        if (this.#feed) await this.#transport?.stop(this.run, kill, this.#feed.ask);
      } catch (error) {
        this.#head.wanted(false);
        throw error;
      }
    });
    clearTimeout(timer);
  }

  async #relaunch(spec?: unknown): Promise<void> {
    this.#watch(true);
    if (!this.#feed || !this.#transport || this.#launching) return;
    this.#launching = true; // a double click makes one run
    try {
      const id = await this.#transport.relaunch(this.run, spec, this.#feed.ask);
      this.show({ ...this.#origin(), id });
      await this.host.keeper?.look(this.#feed.ask, true);
      this.host.onAgain?.();
    } finally {
      this.#launching = false;
    }
  }

  async #edit(): Promise<void> {
    this.#watch(true);
    if (await this.host.onEdit?.(this.run)) return;
    const answer = await this.#feed?.ask("spec");
    if (!answer) return;
    this.#head.node.append(this.#editor.node);
    this.#editor.open(answer.spec);
  }

  async #copyAs(form: string): Promise<void> {
    const answer = await this.#feed?.ask("copy", { as: form });
    if (answer) await this.#copied(answer.text);
  }

  async #copied(text: string): Promise<void> {
    this.#say(await toClipboard(this.words, text));
  }

  /** What is known of another run of the same chain, before anything is told of it. */
  #origin(): SavedRun {
    const { store, name, attempts } = this.#record;
    return { store, name, attempts } as SavedRun;
  }

  // -- drawing -------------------------------------------------------------------------------------

  get #drawing(): boolean {
    return this.#visible && !document.hidden;
  }

  #schedule(): void {
    if (!this.#drawing) this.#feed?.drawn();
    if (this.#visible) inFrame(this.#draw);
  }

  readonly #draw = (now: number): void => {
    this.#pane.draw(now);
    set(this.node, "data-total", this.#source.log.total);
    this.#feed?.drawn();
  };

  #tick(): void {
    if (this.#liveness !== "live") return;
    const { terminal, state } = this.#record;
    if (this.#feed && !document.hidden) void this.host.keeper?.look(this.#feed.ask);
    if (terminal || !this.#drawing) return;
    this.#head.tick();
    if (Date.now() - this.#spoken > SPEAK_MS) this.#say(`${state ?? ""}: ${this.#pane.newest()}`);
  }

  #say(text: string): void {
    this.#spoken = Date.now();
    say(this.#speech, text);
  }
}
