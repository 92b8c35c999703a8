// The log pane: the list of lines, and its tools.

import { button, listen, make, own, save, say, set, toClipboard, told, type Icon } from "./dom.js";
import { grouped } from "./format.js";
import { list as makeList, type List } from "./list.js";
import type { Words } from "./messages.js";
import { search } from "./search.js";
import { plain } from "./sgr.js";
import type { Source } from "./source.js";

const COPIED = 50_000; // lines; more than that is a file
const SAVED = 1_000_000;
const SAID_MS = 4000;

export interface LogPane {
  readonly node: HTMLElement;
  readonly list: List;
  /** Begin anew with what the source has; `note` says what it is. */
  reset(note: string): void;
  /** Take the room that the lines will need, before they are drawn. */
  reserve(): void;
  draw(now: number): void;
  /** Hand out the whole log. */
  file(download: boolean): Promise<void>;
  /** The text of the last line, to be read aloud. */
  newest(): string;
}

/** What a pane tells its card. */
export interface Around {
  draw: () => void;
  follow: () => void;
  run: () => string;
  /** Where the whole log can be had; `null`: it has to be asked for. */
  url: (download: boolean) => string | null;
}

export function logPane(words: Words, source: Source, around: Around): LogPane {
  const { log } = source;
  const stderr = words.__("stderr:");
  const manner = { numbers: false, times: false, mark: null, hit: null, stderr };
  const count = make("span", "count");
  const note = make("span", "note", { role: "status" });
  const toEnd = button("follow", words.__("↓ Follow"), () => list.follow());
  const list = makeList(log, manner, words.__("Log"), {
    changed: around.draw,
    missing: (first, end) => source.fetch(first, end),
    following: () => {
      toEnd.hidden = list.following();
      around.follow();
    },
  });

  const tell = (text: string): void => {
    say(note, text);
    setTimeout(() => {
      if (note.textContent === text) say(note, "");
    }, SAID_MS);
  };
  const copy = async (): Promise<void> => {
    try {
      const part = log.total > COPIED ? words.__("the last %1 lines", grouped(COPIED)) : "";
      tell(`${await toClipboard(words, await source.text(COPIED))} ${part}`);
    } catch (error) {
      tell(told(error));
    }
  };
  const file = async (download: boolean): Promise<void> => {
    try {
      let url = around.url(download);
      if (url === null) {
        const type = "text/plain;charset=utf-8";
        const made = URL.createObjectURL(new Blob([await source.text(SAVED)], { type }));
        setTimeout(() => URL.revokeObjectURL(made), 60_000);
        url = made;
      }
      save(url, download ? `${around.run()}.log` : null);
    } catch (error) {
      tell(told(error));
    }
  };
  const searching = search(words, {
    find: (query, start, limit) => source.find(query, start, limit),
    top: () => list.top(),
    mark: (mark, hit) => {
      Object.assign(manner, { mark, hit });
      if (hit !== null) list.reveal(hit);
      around.draw();
    },
    focus: () => list.node.focus(),
  });
  const option = (icon: Icon, label: string, on: boolean, act: (on: boolean) => unknown): Node => {
    const made = button("tool", label, () => apply(!on), icon);
    const apply = (now: boolean): void => {
      on = now;
      set(made, "aria-pressed", on);
      act(on);
      around.draw();
    };
    apply(on);
    return made;
  };

  const bar = make("div", "bar", {}, count, note, searching.node, make("span", "fill"));
  bar.append(
    button("tool", words.__("Search the log"), () => searching.show(), "search"),
    option("wrap", words.__("Wrap long lines"), true, (on) =>
      list.node.classList.toggle("jl-wrap", on),
    ),
    option("numbers", words.__("Line numbers"), false, (on) => (manner.numbers = on)),
    option("times", words.__("Times"), false, (on) => (manner.times = on)),
    button("tool", words.__("Copy the log"), () => void copy(), "copy"),
    button("tool", words.__("Download the log"), () => void file(true), "download"),
  );
  const node = make("div", "pane", {}, bar, list.node, toEnd);
  node.hidden = toEnd.hidden = true;
  toEnd.title = words.__("Go to the end and show new lines as they come (End)");
  listen(node, "keydown", (event) => {
    const { key, target } = event;
    const find = (event.ctrlKey || event.metaKey) && key.toLowerCase() === "f";
    const inList = target === list.node;
    if (find || key === "F3" || (key === "/" && inList)) searching.show();
    else if (key === "End" && inList) list.follow();
    else return;
    own(event);
  });

  const reserve = (): void => {
    node.hidden = !log.total;
    list.reserve();
  };
  return {
    node,
    list,
    reserve,
    reset: (text) => {
      say(note, text);
      list.reset();
    },
    draw: (now) => {
      reserve();
      const { total } = log;
      say(count, total === 1 ? words.__("1 line") : words.__("%1 lines", grouped(total)));
      if (total) list.draw(now);
    },
    newest: () => plain(log.line(log.total - 1)?.text ?? "").trim(),
    file,
  };
}
