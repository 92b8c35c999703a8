// Draws a run's output in a notebook: from what the notebook keeps, then live.

import type { NotebookPanel } from "@jupyterlab/notebook";
import type { IRenderMime } from "@jupyterlab/rendermime";
import { Panel, type Widget } from "@lumino/widgets";

import { artifacts } from "./card/artifacts.js";
import { changes, type Changes } from "./card/attempts.js";
import { Card } from "./card/card.js";
import { keeper } from "./card/keep.js";
import type { Item } from "./card/menu.js";
import type { Ask, MimeData, SavedRun, Words } from "./card/messages.js";
import { form } from "./form.js";
import { whenNear } from "./near.js";
import type { Server } from "./server.js";

export const MIME = "application/vnd.jupyter-launch.run.v1+json";
const WIDGET = "application/vnd.jupyter.widget-view+json";

export class RunRenderer extends Panel implements IRenderMime.IRenderer {
  #card: Card | null = null;
  readonly #server: Server;
  readonly #panel: NotebookPanel | null;
  #model: IRenderMime.IMimeModel | null = null;
  #fallback: IRenderMime.IRenderer | null = null;
  readonly #words: Words;
  readonly #changes: Changes;
  #artifacts: MutationObserver | null = null;
  #form: Widget | null = null;
  #callOff = (): void => undefined; // the waiting for somebody to come near

  constructor(server: Server, words: Words, panel: NotebookPanel | null) {
    super();
    this.#server = server;
    this.#panel = panel;
    this.addClass("jl-output");
    this.#words = words;
    this.#changes = changes(words);
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.#callOff();
      this.#artifacts?.disconnect();
      this.#card?.dispose();
    }
    super.dispose();
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const before = this.#model && runOf(this.#model.data).id;
    const saved = runOf(model.data);
    this.#model = model;
    if (!this.#card && saved.terminal) this.#wait(saved);
    else await this.#show(saved, before);
  }

  /** Take the room of a run that has ended, and draw it when somebody comes near. */
  #wait(saved: SavedRun): void {
    this.#callOff();
    this.addClass("jl-waiting");
    this.node.style.setProperty("--jl-lines", String((saved.tail ?? "").split("\n").length));
    this.#callOff = whenNear(this.node, () => void this.#show(runOf(this.#model?.data ?? {})));
  }

  async #show(saved: SavedRun, before?: string | null): Promise<void> {
    this.#callOff();
    const card = (this.#card ??= this.#made());
    // The live view knows better, and keeps its place.
    const same = saved.id === before || saved.id === card.run;
    if (same && card.live) return;
    card.show(saved);
    if (saved.id && saved.store && (await this.#server.store()) === saved.store) {
      if (!this.isDisposed) card.connect(this.#server);
    } else await this.#fallBack();
    this.removeClass("jl-waiting");
  }

  #made(): Card {
    const made = new Card(this.node, this.#words, {
      ...(this.#panel && { keeper: keeper() }),
      onGone: () => void this.#fallBack(),
      onAgain: () => this.keep(), // or a reload would show the old run
      onEdit: (run) => this.#edit(run),
      more: (record, ask) => this.#offered(record, ask),
    });
    const saved = (): SavedRun => runOf(this.#model?.data ?? {});
    this.#artifacts = artifacts(made.node, this.#words, this.#server, saved);
    return made;
  }

  /** Put into the notebook what it is to keep, as it is about to be saved. */
  keep(): void {
    const model = this.#model;
    const bundle = this.#card?.host.keeper?.bundle();
    if (!bundle || !model) return;
    const [kept, newer] = [runOf(model.data), runOf(bundle)];
    // Its end may have come from the kernel first.
    if (kept.id === newer.id && kept.terminal && !newer.terminal) return;
    if (JSON.stringify(kept) === JSON.stringify(newer)) return;
    const data = { ...bundle } as typeof model.data & MimeData;
    const widget = model.data[WIDGET];
    // While the run goes on, a front end without this one can still show the kernel's view.
    if (widget && !newer.terminal) Object.assign(data, { [WIDGET]: widget });
    model.setData({ data, metadata: model.metadata });
  }

  #offered(record: SavedRun, ask: Ask): Item[] {
    if ((record.attempts ?? []).length < 2) return [];
    const compare = (): void => {
      this.#card?.node.firstElementChild?.append(this.#changes.node);
      this.#changes.open(record, ask);
    };
    return [[this.#words.__("What changed…"), compare]];
  }

  /** Open the form of the run that is shown, if there is a kernel that can. */
  async #edit(run: string): Promise<boolean> {
    this.#form?.dispose();
    this.#form = this.#panel && (await form(this.#panel, run, this.node, this.#words));
    if (!this.#form) return false;
    if (this.isDisposed) this.#form.dispose();
    else {
      this.addWidget(this.#form);
      this.node.append(this.#form.node); // the card is no widget: widgets are put before it
    }
    return true;
  }

  /** Where the server does not know the run, the kernel that launched it may show it. */
  async #fallBack(): Promise<void> {
    const model = this.#model;
    const panel = this.#panel;
    if (!model?.trusted || !panel || this.#fallback || this.isDisposed) return;
    const { rendermime } = panel.content;
    const kernel = panel.sessionContext.session?.kernel;
    if (!model.data[WIDGET] || !kernel || !rendermime.mimeTypes.includes(WIDGET)) return;
    const fallback = rendermime.createRenderer(WIDGET);
    this.#fallback = fallback;
    fallback.hide(); // it may turn out that the kernel no longer knows the view
    this.addWidget(fallback);
    new MutationObserver((_changes, observer) => {
      if (!fallback.node.querySelector(".jl-card")) return;
      observer.disconnect();
      fallback.show();
      this.#card?.node.remove();
    }).observe(fallback.node, { childList: true, subtree: true });
    await fallback.renderModel(model);
  }
}

function runOf(data: Readonly<Record<string, unknown>>): SavedRun {
  const saved = data[MIME];
  return typeof saved === "object" && saved !== null ? saved : {};
}
