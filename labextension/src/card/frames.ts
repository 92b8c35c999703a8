// The animation frames of a page, shared by all its cards: who finds no room in one is drawn in the
// next, before those that were.

const BUDGET_MS = 8;

type Draw = (now: number) => void;

/** Those that are to be drawn; who is taken out is not. */
export const waiting = new Set<Draw>();
let frame = 0;

/** Have something drawn in one of the next frames, once, however often it is asked for. */
export function inFrame(draw: Draw): void {
  waiting.add(draw);
  frame ||= requestAnimationFrame(run);
}

function run(now: number): void {
  frame = 0;
  const end = performance.now() + BUDGET_MS;
  for (const draw of [...waiting]) {
    if (performance.now() > end) inFrame(draw);
    else if (waiting.delete(draw)) draw(now);
  }
}
