// The card as an anywidget: the same view, fed by the kernel over the widget's comm.

import { Card } from "./card/card.js";
import type {
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

interface Comm extends Transport {
  close(): void;
}

function comm(model: Model): Comm {
  const listeners = new Map<string, Listener>();
  const receive = (message: FeederMessage, [data]: DataView[]): void => {
    const bytes = data
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array();
    // Without a name it is for everybody: the kernel has not heard of any view yet.
    for (const [v, listener] of listeners) {
      if (!message.v || message.v === v) listener.onMessage(message, bytes);
    }
  };
  const lose = (): void => {
    if (made.state === "lost") return;
    made.state = "lost";
    for (const listener of listeners.values()) listener.onState("lost");
  };
  const made: Comm & { state: LinkState } = {
    state: "connected",
    send: (message) => {
      try {
        model.send(message);
      } catch {
        lose(); // the kernel is gone; the view keeps what it has
      }
    },
    listen: (v, listener) => {
      listeners.set(v, listener);
      return () => listeners.delete(v);
    },
    stop: (_run, kill, ask) => ask("stop", { kill }),
    relaunch: async (_run, spec, ask) => (await ask("relaunch", { spec })).run,
    logUrl: () => null,
    close: () => {
      model.off("msg:custom", receive);
      model.off("comm_live_update", lose);
    },
  };
  model.on("msg:custom", receive);
  model.on("comm_live_update", lose);
  return made;
}

export default {
  render({ model, el }: { model: Model; el: HTMLElement }): () => void {
    const kernel = comm(model);
    const card = new Card(el);
    card.show(model.get("record"));
    card.connect(kernel);
    return () => {
      card.dispose();
      kernel.close();
    };
  },
};
