// Draws a run's output in a notebook: from what the notebook keeps, then live.

import type { NotebookPanel } from "@jupyterlab/notebook";
import type { IRenderMime } from "@jupyterlab/rendermime";
import { Panel } from "@lumino/widgets";

import { Card } from "./card/card.js";
import type { MimeData, SavedRun, Words } from "./card/messages.js";
import type { Server } from "./server.js";

export const MIME = "application/vnd.jupyter-launch.run.v1+json";
const WIDGET = "application/vnd.jupyter.widget-view+json";

export class RunRenderer extends Panel implements IRenderMime.IRenderer {
  readonly #card: Card;
  readonly #server: Server;
  readonly #panel: NotebookPanel | null;
  #model: IRenderMime.IMimeModel | null = null;
  #fallback: IRenderMime.IRenderer | null = null;

  constructor(server: Server, words: Words, panel: NotebookPanel | null) {
    super();
    this.#server = server;
    this.#panel = panel;
    this.addClass("jl-output");
    this.#card = new Card(this.node, words);
    this.#card.keeps = panel !== null;
    this.#card.onGone = (): void => void this.#fallBack();
  }

  override dispose(): void {
    if (!this.isDisposed) this.#card.dispose();
    super.dispose();
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const before = this.#model && runOf(this.#model.data).id;
    const saved = runOf(model.data);
    this.#model = model;
    // The live view knows better, and keeps its place.
    const same = saved.id === before || saved.id === this.#card.run;
    if (same && this.#card.live) return;
    this.#card.show(saved);
    if (saved.id && saved.store && (await this.#server.store()) === saved.store) {
      if (!this.isDisposed) this.#card.connect(this.#server);
    } else await this.#fallBack();
  }

  /** Put into the notebook what it is to keep, as it is about to be saved. */
  keep(): void {
    const model = this.#model;
    const { bundle } = this.#card;
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
      this.#card.node.remove();
    }).observe(fallback.node, { childList: true, subtree: true });
    await fallback.renderModel(model);
  }
}

function runOf(data: Readonly<Record<string, unknown>>): SavedRun {
  const saved = data[MIME];
  return typeof saved === "object" && saved !== null ? saved : {};
}
