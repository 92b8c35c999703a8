// The animation frames of a page, shared by all its cards: who finds no room in one is drawn in the
// next, before those that were.

const BUDGET_MS = 8;

type Draw = (now: number) => void;

const waiting = new Set<Draw>();
let frame = 0;

/** Have something drawn in one of the next frames, once, however often it is asked for. */
export function inFrame(draw: Draw): void {
  waiting.add(draw);
  frame ||= requestAnimationFrame(run);
}

/** Have it not drawn after all. */
export function notInFrame(draw: Draw): void {
  waiting.delete(draw);
}

function run(now: number): void {
  frame = 0;
  const end = performance.now() + BUDGET_MS;
  try {
    for (const draw of [...waiting]) {
      waiting.delete(draw);
      draw(now);
      if (performance.now() >= end) break;
    }
  } finally {
    if (waiting.size) frame ||= requestAnimationFrame(run);
  }
}
