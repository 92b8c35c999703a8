// A run's use of the machine, as small lines beside its name.

import { make, say, set, svg } from "./dom.js";
import { size } from "./format.js";
import type { SampleRow, Words } from "./messages.js";

const WIDTH = 64;
const HEIGHT = 16;
const KEPT = 300; // samples
const SHOWN = 64; // points of a line

type Value = (row: SampleRow) => number;
type Show = (text: string, label: string, samples: SampleRow[]) => void;

export interface Chart {
  readonly node: HTMLElement;
  /** Show more samples; none: begin anew. */
  add(rows: SampleRow[] | null): void;
}

export function chart(words: Words): Chart {
  const node = make("div", "charts");
  const cpu = spark(node, "cpu", (row) => row[1], 0);
  const memory = spark(node, "memory", (row) => row[2], 0);
  const gpu = spark(node, "gpu", (row) => row[4] ?? 0, 1);
  let samples: SampleRow[] = [];
  node.hidden = true;

  const add = (rows: SampleRow[] | null): void => {
    const last = samples.at(-1)?.[0] ?? 0;
    samples = rows ? [...samples, ...rows.filter(([at]) => at > last)] : [];
    // Of a long run every second sample of the past will do.
    if (samples.length > KEPT) samples = samples.filter((_, i) => i % 2);
    const now = samples.at(-1);
    node.hidden = !now;
    if (!now) return;
    const [, cores, held, limit, use, heldGpu] = now;
    const rounded = cores.toFixed(cores < 9.95 ? 1 : 0);
    cpu(words.__("CPU %1", rounded), words.__("%1 cores in use", rounded), samples);
    const used = limit ? words.__("%1 of %2", size(held), size(limit)) : size(held);
    memory(size(held), words.__("%1 of memory", used), samples);
    if (use === null) return;
    const percent = words.__("GPU %1 %", Math.round(use * 100));
    gpu(percent, heldGpu === null ? percent : `${percent}, ${size(heldGpu)}`, samples);
  };
  return { node, add };
}

function spark(parent: HTMLElement, name: string, value: Value, most: number): Show {
  const picture = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    "aria-hidden": "true",
    preserveAspectRatio: "none",
  });
  const area = svg("polygon", { class: "jl-area" });
  const line = svg("polyline", { class: "jl-line" });
  picture.append(area, line);
  const reading = make("span", "reading");
  const node = make("div", `spark jl-${name}`, { role: "img" }, picture, reading);
  node.hidden = true;
  parent.append(node);
  return (text, label, samples) => {
    const values = thin(samples.map(value));
    const top = Math.max(most, ...values) || 1;
    const step = WIDTH / Math.max(1, values.length - 1);
    const height = (y: number): string => (HEIGHT - 1 - (y / top) * (HEIGHT - 2)).toFixed(1);
    const points = values.map((y, i) => `${(i * step).toFixed(1)},${height(y)}`).join(" ");
    line.setAttribute("points", points);
    area.setAttribute("points", `0,${HEIGHT} ${points} ${WIDTH},${HEIGHT}`);
    say(reading, text);
    set(node, "aria-label", label);
    set(node, "title", label);
    node.hidden = false;
  };
}

/** As many values as a line has points, of each stretch the highest. */
function thin(values: number[]): number[] {
  const every = Math.ceil(values.length / SHOWN);
  const stretch = (i: number): number => Math.max(...values.slice(i * every, (i + 1) * every));
  return values.slice(0, Math.ceil(values.length / every)).map((_, i) => stretch(i));
}
