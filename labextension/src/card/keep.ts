// What a notebook is to keep of a run: asked for when its state changes, and at times between.

import type { Ask, MimeData } from "./messages.js";

const PAUSE_MS = 1000; // at first
const PATIENCE_MS = 1000;
const PAUSE_MOST_MS = 10_000;

export interface Keeper {
  /** The newest that was given; `null`: what the notebook has is as good. */
  bundle(): MimeData | null;
  reset(): void;
  /** Note that something has changed; what is urgent is asked for at the next look. */
  note(urgent: boolean): void;
  /** Ask for it, if something has changed and it is time, or at once; wait a moment for it. */
  look(ask: Ask, now?: boolean): Promise<void>;
}

export function keeper(): Keeper {
  let bundle: MimeData | null = null;
  let changed = false;
  let asked = 0;
  let pause = PAUSE_MS;
  return {
    bundle: () => bundle,
    reset: () => {
      bundle = null;
      changed = false;
      asked = 0;
      pause = PAUSE_MS;
    },
    note: (urgent) => {
      changed = true;
      if (urgent) asked = 0;
    },
    look: async (ask, now = false) => {
      if (!now && (!changed || Date.now() - asked < pause)) return;
      changed = false;
      asked = Date.now();
      pause = Math.min(2 * pause, PAUSE_MOST_MS);
      const asking = ask("bundle").then(
        (answer) => (bundle = answer.bundle),
        () => (changed = true),
      );
      await Promise.race([asking, new Promise((resume) => setTimeout(resume, PATIENCE_MS))]);
    },
  };
}
