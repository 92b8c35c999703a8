// What a notebook is to keep of a run: asked for when it has ended, and at times before.

import type { Ask, MimeData } from "./messages.js";

const PAUSE_MS = 10_000;

export class Keeper {
  /** The newest that was given; `null`: what the notebook has is as good. */
  bundle: MimeData | null = null;
  #changed = false;
  #asked = 0;

  /** Note that something has changed, that cannot wait if it is the last. */
  note(last: boolean): void {
    this.#changed = true;
    if (last) this.#asked = 0;
  }

  reset(): void {
    this.bundle = null;
    this.#changed = false;
    this.#asked = 0;
  }

  /** Ask, if it is time. */
  async look(ask: Ask): Promise<void> {
    if (!this.#changed || Date.now() - this.#asked < PAUSE_MS) return;
    this.#changed = false;
    this.#asked = Date.now();
    try {
      this.bundle = (await ask("bundle")).bundle;
    } catch {
      this.#changed = true;
    }
  }
}
