// Where the lines of a log come from: those told, those asked for, and what is found in them all.

import { Log } from "./chunks.js";
import type { Ask, Hits, LinesHead, Query } from "./messages.js";
import { pattern } from "./search.js";
import { plain } from "./sgr.js";

const AT_ONCE = 3; // requests under way
const AGAIN_MS = 1000; // after one that failed
const PAGE = 5000; // lines

interface Request {
  /** Lines from here on have changed since it was made. */
  valid: number;
}

export interface Source {
  readonly log: Log;
  /** Whom to ask from now on, if anybody. */
  connect(ask: Ask | null): void;
  /** Begin with the end of a log as a notebook keeps it. */
  restore(tail: string): void;
  take(head: LinesHead | undefined, bytes: Uint8Array, total: number | undefined): void;
  /** Ask for those lines of a range that are not here. */
  fetch(first: number, end: number): void;
  find(query: Query, start: number, limit: number): Promise<Hits>;
  /** Give the text of the last lines, without colours. */
  text(limit: number): Promise<string>;
}

/**
 * Make a source.
 * @param changed Called when lines have come that were asked for.
 */
export function source(changed: () => void): Source {
  const log = new Log();
  const requests = new Map<number, Request>();
  let asked: Ask | null = null;

  const request = async (ask: Ask, first: number, count: number): Promise<void> => {
    const made = { valid: Infinity };
    requests.set(first, made);
    try {
      const answer = await ask("lines", { first, count });
      if (asked !== ask) return;
      log.total = Math.max(log.total, answer.total);
      log.insert(answer.log, answer.bytes, made.valid);
    } catch {
      await new Promise((resume) => setTimeout(resume, AGAIN_MS));
    }
    if (requests.get(first) === made) requests.delete(first);
    changed();
  };
  const here = (line: number): string => plain(log.line(line)?.text ?? "");

  return {
    log,
    connect: (ask) => {
      asked = ask;
      requests.clear();
    },
    restore: (tail) => {
      const text = tail.replace(/([^\n])$/, "$1\n");
      const count = text.split("\n").length - 1;
      const head = { first: 0, count, style: "", streams: [], times: [] };
      log.resize(0);
      log.replaceFrom(head, new TextEncoder().encode(text));
      log.resize(count);
    },
    take: (head, bytes, total) => {
      if (head) {
        for (const one of requests.values()) one.valid = Math.min(one.valid, head.first);
        log.replaceFrom(head, bytes);
      }
      if (total !== undefined) log.resize(total);
    },
    fetch: (first, end) => {
      for (const block of log.missing(first, end)) {
        if (!asked || requests.size >= AT_ONCE) return;
        if (!requests.has(block.first)) void request(asked, block.first, block.count);
      }
    },
    find: async (query, start, limit) => {
      if (asked) return asked("find", { ...query, start, limit });
      const mark = pattern(query);
      const lines: number[] = [];
      for (let line = start; mark && line < log.total; line++) {
        if (here(line).search(mark) >= 0) lines.push(line);
      }
      return { lines, more: false };
    },
    text: async (limit) => {
      const { total } = log;
      let text = "";
      let first = asked ? Math.max(0, total - limit) : 0;
      while (asked && first < total) {
        const answer = await asked("lines", { first, count: PAGE });
        if (!answer.log.count) break;
        text += new TextDecoder().decode(answer.bytes).split("\n").map(plain).join("\n");
        first += answer.log.count;
      }
      for (; !asked && first < total; first++) text += `${here(first)}\n`;
      return text;
    },
  };
}
