// The card as an anywidget: the same view, fed by the kernel over the widget's comm.

import { Card } from "./card/card.js";
import type {
  Ask,
  FeederMessage,
  LinkState,
  Listener,
  PageMessage,
  SavedRun,
  Transport,
} from "./card/messages.js";

/** What an anywidget is given of its model. */
interface Model {
  get(name: "record"): SavedRun;
  send(message: PageMessage): void;
  on(event: string, handler: (...values: never[]) => void): void;
  off(event: string, handler: (...values: never[]) => void): void;
}

class Comm implements Transport {
  state: LinkState = "connected";
  readonly #listeners = new Map<string, Listener>();
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
    model.on("msg:custom", this.#receive);
    model.on("comm_live_update", this.#lose);
  }

  close(): void {
    this.#model.off("msg:custom", this.#receive);
    this.#model.off("comm_live_update", this.#lose);
  }

  send(message: PageMessage): void {
    try {
      this.#model.send(message);
    } catch {
      this.#lose(); // the kernel is gone; the view keeps what it has
    }
  }

  listen(v: string, listener: Listener): () => void {
    this.#listeners.set(v, listener);
    return () => this.#listeners.delete(v);
  }

  async stop(_run: string, kill: boolean, ask: Ask): Promise<void> {
    await ask("stop", { kill });
  }

  async relaunch(_run: string, spec: unknown, ask: Ask): Promise<string> {
    return (await ask("relaunch", spec === undefined ? {} : { spec })).run;
  }

  logUrl(): null {
    return null;
  }

  readonly #receive = (message: FeederMessage, buffers: DataView[]): void => {
    const [data] = buffers;
    const bytes = data
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array();
    // Without a name it is for everybody: the kernel has not heard of any view yet.
    for (const [v, listener] of this.#listeners) {
      if (!message.v || message.v === v) listener.onMessage(message, bytes);
    }
  };

  readonly #lose = (): void => {
    if (this.state === "lost") return;
    this.state = "lost";
    for (const listener of this.#listeners.values()) listener.onState("lost");
  };
}

export default {
  render({ model, el }: { model: Model; el: HTMLElement }): () => void {
    const comm = new Comm(model);
    const card = new Card(el);
    card.show(model.get("record"));
    card.connect(comm);
    return () => {
      card.dispose();
      comm.close();
    };
  },
};
