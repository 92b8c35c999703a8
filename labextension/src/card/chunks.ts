// The lines of a log as far as the page has them: a few megabytes of UTF-8 in chunks of neighbouring
// lines, found by number. Only lines that are looked at are decoded.

import type { LinesHead } from "./messages.js";
import { PLAIN, restyle, type Style } from "./sgr.js";

/** A line as it is drawn. */
export interface Line {
  readonly text: string;
  readonly style: Style;
  readonly stream: number;
  /** Unix seconds; 0 if unknown. */
  readonly time: number;
}

const NEWLINE = 10;
const ESCAPE = 27;
const OVERHEAD = 500;
const BLOCK = 512;

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

type Marks = readonly [number, number][];

/** Some neighbouring lines. Never changed. */
export class Chunk {
  used = 0;

  constructor(
    readonly first: number,
    readonly starts: Uint32Array, // where each line begins, and where the last one ends
    readonly bytes: Uint8Array,
    readonly style: readonly string[], // parameters of the SGR sequences in force at its start
    readonly streams: Marks,
    readonly times: Marks,
  ) {}

  static of(head: LinesHead, bytes: Uint8Array): Chunk {
    const starts = new Uint32Array(head.count + 1);
    let at = 0;
    for (let line = 1; line <= head.count; line++) {
      const newline = bytes.indexOf(NEWLINE, at);
      at = newline < 0 ? bytes.length : newline + 1;
      starts[line] = at;
    }
    // A copy: the buffer it came in may hold much else.
    return new Chunk(
      head.first,
      starts,
      bytes.slice(0, at),
      [head.style],
      head.streams,
      head.times,
    );
  }

  get count(): number {
    return this.starts.length - 1;
  }

  get end(): number {
    return this.first + this.count;
  }

  get weight(): number {
    return this.bytes.length + 4 * this.starts.length + OVERHEAD;
  }

  line(number: number): Line {
    const index = number - this.first;
    const [start, end] = [this.starts[index] ?? 0, this.starts[index + 1] ?? 0];
    return {
      text: DECODER.decode(this.bytes.subarray(start, end)).replace(/\n$/, ""),
      style: this.#styleAt(start),
      stream: inForce(this.streams, index),
      time: inForce(this.times, index),
    };
  }

  /** The lines from `first` up to, not with, `end`. */
  part(first: number, end: number): Chunk {
    const [from, to] = [first - this.first, end - this.first];
    if (from === 0) {
      const starts = this.starts.slice(0, to + 1);
      const bytes = this.bytes.subarray(0, starts[to]);
      return new Chunk(first, starts, bytes, this.style, this.streams, this.times);
    }
    const begin = this.starts[from] ?? 0;
    const starts = this.starts.slice(from, to + 1).map((start) => start - begin);
    const bytes = this.bytes.subarray(begin, begin + (starts[to - from] ?? 0));
    const style = this.#styleBefore(begin);
    return new Chunk(first, starts, bytes, style, cut(this.streams, from), cut(this.times, from));
  }

  #styleAt(start: number): Style {
    return this.#styleBefore(start).reduce(restyle, PLAIN);
  }

  /** The parameters of the SGR sequences in force at a place, from the last reset on. */
  #styleBefore(place: number): string[] {
    const found: string[] = [];
    for (let at = place; at > 0;) {
      at = this.bytes.lastIndexOf(ESCAPE, at - 1);
      if (at < 0) break;
      const parameters = sgrAt(this.bytes, at);
      if (parameters === null) continue;
      found.unshift(parameters);
      if (/^0*(;|$)/.test(parameters)) return found;
    }
    return [...this.style, ...found];
  }
}

function sgrAt(bytes: Uint8Array, at: number): string | null {
  if (bytes[at + 1] !== 0x5b) return null;
  let end = at + 2;
  for (let byte = bytes[end] ?? 0; byte >= 0x30 && byte <= 0x3b; byte = bytes[end] ?? 0) end++;
  return bytes[end] === 0x6d ? DECODER.decode(bytes.subarray(at + 2, end)) : null;
}

function inForce(marks: Marks, index: number): number {
  let [low, high] = [0, marks.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((marks[middle]?.[0] ?? 0) <= index) low = middle + 1;
    else high = middle;
  }
  return marks[low - 1]?.[1] ?? 0;
}

function cut(marks: Marks, from: number): Marks {
  const rest = marks
    .filter(([line]) => line > from)
    .map<[number, number]>(([l, v]) => [l - from, v]);
  return [[0, inForce(marks, from)], ...rest];
}

/** A log whose lines are known in parts. */
export class Log {
  total = 0;
  #chunks: Chunk[] = []; // in order, none over another
  #weight = 0;
  #clock = 0;
  readonly #limit: number;

  /**
   * @param limit How many bytes to keep, about: what was not looked at for longest goes first.
   */
  constructor(limit = 8 * 1024 * 1024) {
    this.#limit = limit;
  }

  /** The last line that is kept, plus one: what is above it is unknown. */
  get known(): number {
    return this.#chunks.at(-1)?.end ?? 0;
  }

  get bytes(): number {
    return this.#weight;
  }

  /** Take note of how many lines there are now. */
  resize(total: number): void {
    this.#remove(total, Infinity);
    this.total = total;
  }

  /** Take lines that replace everything from their first on; what is after them is unknown. */
  replaceFrom(head: LinesHead, bytes: Uint8Array): void {
    this.#remove(head.first, Infinity);
    this.total = Math.max(this.total, head.first + head.count);
    if (head.count) this.#add(Chunk.of(head, bytes));
  }

  /** Take lines that were asked for, those below `end`. */
  insert(head: LinesHead, bytes: Uint8Array, end = Infinity): void {
    const chunk = Chunk.of(head, bytes);
    const last = Math.min(end, chunk.end, this.total);
    if (last <= chunk.first) return;
    this.#remove(chunk.first, last);
    this.#add(last < chunk.end ? chunk.part(chunk.first, last) : chunk);
  }

  line(number: number): Line | null {
    const chunk = this.#chunks[this.#place(number)];
    if (!chunk || number < chunk.first) return null;
    chunk.used = ++this.#clock;
    return chunk.line(number);
  }

  /** The blocks of lines to ask for, so that all of a range is there. */
  missing(first: number, end: number): { first: number; count: number }[] {
    const blocks: { first: number; count: number }[] = [];
    for (let at = first; at < Math.min(end, this.total);) {
      const chunk = this.#chunks[this.#place(at)];
      if (chunk && chunk.first <= at) at = chunk.end;
      else {
        const block = at - (at % BLOCK);
        blocks.push({ first: block, count: BLOCK });
        at = block + BLOCK;
      }
    }
    return blocks;
  }

  /** Where the first chunk is that ends after a line. */
  #place(line: number): number {
    let [low, high] = [0, this.#chunks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#chunks[middle]?.end ?? 0) <= line) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #remove(first: number, end: number): void {
    const from = this.#place(first);
    let to = from;
    const kept: Chunk[] = [];
    for (let chunk = this.#chunks[to]; chunk && chunk.first < end; chunk = this.#chunks[++to]) {
      this.#weight -= chunk.weight;
      if (chunk.first < first) kept.push(chunk.part(chunk.first, first));
      if (chunk.end > end) kept.push(chunk.part(end, chunk.end));
    }
    for (const chunk of kept) this.#weight += chunk.weight;
    this.#chunks.splice(from, to - from, ...kept);
  }

  #add(chunk: Chunk): void {
    this.#chunks.splice(this.#place(chunk.first), 0, chunk);
    chunk.used = ++this.#clock;
    this.#weight += chunk.weight;
    while (this.#weight > this.#limit && this.#chunks.length > 1) this.#forget();
  }

  #forget(): void {
    let oldest = 0;
    this.#chunks.forEach((chunk, place) => {
      if (chunk.used < (this.#chunks[oldest]?.used ?? 0)) oldest = place;
    });
    this.#weight -= this.#chunks[oldest]?.weight ?? 0;
    this.#chunks.splice(oldest, 1);
  }
}
