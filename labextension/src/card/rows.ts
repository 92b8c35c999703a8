// The elements of neighbouring lines, changed as little as possible from one drawing to the next.

import type { Log } from "./chunks.js";
import { make } from "./dom.js";
import { Row, type Manner } from "./row.js";

export interface Rows {
  readonly node: HTMLElement;
  clear(): void;
  /** Draw these lines and no others. Gives those between which some are not here, if so. */
  draw(first: number, end: number): [first: number, end: number] | null;
  /** How far below the first row a place in a line is, px. */
  offset(line: number, part: number): number;
}

export function rows(log: Log, manner: Manner): Rows {
  const node = make("div", "rows");
  let shown: Row[] = [];

  /** Bring the elements into their order. */
  const arrange = (): void => {
    let next = node.firstChild;
    for (const { element } of shown) {
      if (element === next) next = next.nextSibling;
      else node.insertBefore(element, next);
    }
  };
  return {
    node,
    clear: () => {
      shown = [];
      node.replaceChildren();
    },
    draw: (first, end) => {
      const inside = ({ number }: Row): boolean => number >= first && number < end;
      const kept = shown.filter(inside);
      const spare = shown.filter((row) => !inside(row));
      // Where all rows change they stay where they are, and only what they say is another.
      if (kept.length) for (const { element } of spare) element.remove();
      const from = kept[0]?.number ?? end;
      let stream = log.line(first - 1)?.stream ?? 0;
      const missing: number[] = [];
      shown = [];
      for (let number = first; number < end; number++) {
        const row = kept[number - from] ?? spare.shift() ?? new Row();
        const line = log.line(number);
        if (!line) missing.push(number);
        row.show(number, line, stream, manner);
        stream = line?.stream ?? 0;
        shown.push(row);
      }
      for (const { element } of spare) element.remove();
      arrange();
      const [lowest] = missing;
      return lowest === undefined ? null : [lowest, (missing.at(-1) ?? lowest) + 1];
    },
    offset: (line, part) => {
      const row = shown[line - (shown[0]?.number ?? 0)]?.element;
      return row ? row.offsetTop + part * row.offsetHeight : node.offsetHeight;
    },
  };
}
