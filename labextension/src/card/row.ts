// One line of the log on the screen.

import type { Line } from "./chunks.js";
import { make } from "./dom.js";
import { clock } from "./format.js";
import { draw, pieces, type Piece } from "./sgr.js";

/** How all rows are drawn. */
export interface Manner {
  numbers: boolean;
  times: boolean;
  /** What is searched for; global. */
  mark: RegExp | null;
  /** The line of the hit that was jumped to. */
  hit: number | null;
  /** What is read aloud before lines of standard error. */
  stderr: string;
}

export class Row {
  readonly element = make("div", "row");
  number = -1;
  #key = "nothing yet";

  /**
   * Draw a line, or leave room for one that is not here yet.
   * @param after The stream of the line above.
   */
  show(number: number, line: Line | null, after: number, manner: Manner): void {
    const { element } = this;
    if (line === null && number === this.number) return; // what it was is better than nothing
    const gutter = line ? margin(number, line, manner) : "";
    const hit = manner.hit === number;
    const stderr = line?.stream === 2;
    const key = line
      ? [line.text, Object.values(line.style), line.stream, after, gutter, hit, manner.mark].join(
          "\0",
        )
      : "";
    if (number !== this.number) element.dataset.line = String(number);
    this.number = number;
    if (key === this.#key) return;
    this.#key = key;
    const classes = ["jl-row", !line && "jl-missing", stderr && "jl-stderr", hit && "jl-hit"];
    element.className = classes.filter(Boolean).join(" ");
    element.toggleAttribute("data-gutter", Boolean(gutter));
    if (gutter) element.dataset.gutter = gutter;
    const nodes = line ? marked(pieces(line.text, line.style), manner.mark).map(nodeOf) : [];
    if (stderr && after !== 2) nodes.unshift(make("span", "sr", {}, manner.stderr));
    element.replaceChildren(...nodes);
  }
}

interface Marked extends Piece {
  hit?: boolean;
}

function nodeOf(piece: Marked): Node {
  const node = draw(piece);
  return piece.hit ? make("mark", "mark", {}, node) : node;
}

function margin(number: number, line: Line, manner: Manner): string {
  const parts = [];
  if (manner.numbers) parts.push(String(number + 1));
  if (manner.times) parts.push(line.time ? clock(line.time) : "");
  return parts.join("  ");
}

/** Cut pieces further, where something that is searched for begins and ends. */
export function marked(line: readonly Piece[], mark: RegExp | null): Marked[] {
  if (!mark) return [...line];
  const text = line.map((piece) => piece.text).join("");
  const hits = [...text.matchAll(mark)].filter(([found]) => found);
  if (!hits.length) return [...line];
  const cuts = hits.flatMap(({ index, 0: found }) => [index, index + found.length]);
  const made: Marked[] = [];
  let [start, next] = [0, 0];
  for (const piece of line) {
    const end = start + piece.text.length;
    for (let at = start; at < end;) {
      while ((cuts[next] ?? Infinity) <= at) next++;
      const stop = Math.min(end, cuts[next] ?? Infinity);
      made.push({
        text: piece.text.slice(at - start, stop - start),
        style: piece.style,
        hit: next % 2 === 1,
      });
      at = stop;
    }
    start = end;
  }
  return made;
}
