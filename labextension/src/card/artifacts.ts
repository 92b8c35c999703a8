// What a run left behind, below its log: a list, with small images and tables in it. It looks at a
// card from outside, so that a card alone does not carry it.

import { make } from "./dom.js";
import type { SavedRun, Words } from "./messages.js";
import { parseTable } from "./table.js";

const IMAGE = /^image\/(png|jpeg|gif|webp)$/;
const TABLE = /^text\/(csv|tab-separated-values)$/;
const IMAGE_BYTES = 5_000_000; // a larger one is not shown
const TABLE_BYTES = 100_000;
const SHOWN = 8; // so many images and tables
const LISTED = 200;
const ROWS = 20;
const OVER = new Set(["finished", "failed", "stopped", "preempted", "crashed"]);
const UNITS = ["B", "kB", "MB", "GB", "TB"];

export interface Artifact {
  name: string;
  size: number;
  modified: number;
  type: string;
}

/** Where artifacts are had from. */
export interface ArtifactSource {
  artifacts(run: string): Promise<Artifact[]>;
  artifactUrl(run: string, name: string, download: boolean): string;
  artifactText(run: string, name: string): Promise<string>;
}

/** Show below a card what its run left behind, until `disconnect` of what is returned. */
export function artifacts(
  card: HTMLElement,
  words: Words,
  from: ArtifactSource,
  saved: () => SavedRun,
): MutationObserver {
  const node = make("section", "artifacts", { "aria-label": words.__("Artifacts") });
  node.hidden = true;
  card.append(node);
  let shown = "";
  const look = (): void => {
    const { run = "", state = "", live } = card.dataset;
    const want = run && OVER.has(state) ? `${run} ${live ?? ""}` : "";
    if (want === shown) return;
    shown = want;
    const kept = saved();
    draw(node, words, kept.id === run && want ? asKept(kept) : []);
    if (live !== "live" || !want) return;
    from.artifacts(run).then(
      (found) => {
        if (shown === want) draw(node, words, rows(found, run, words, from), found.length);
      },
      () => undefined, // then the names stay that the notebook keeps
    );
  };
  const observer = new MutationObserver(look);
  observer.observe(card, { attributeFilter: ["data-run", "data-state", "data-live"] });
  look();
  return observer;
}

function draw(node: HTMLElement, words: Words, items: HTMLElement[], count = items.length): void {
  node.hidden = !items.length;
  const title = words.__("Artifacts (%1)", count);
  const list = make("ul", "artifact-list", {}, ...items);
  node.replaceChildren(make("div", "hint", {}, title), list);
}

function asKept({ artifacts: named = [], artifact_count: count = 0 }: SavedRun): HTMLElement[] {
  const items = named.map(([name, size]) => item(name, bytes(size)));
  return count > named.length ? [...items, item("…", "")] : items;
}

function rows(found: Artifact[], run: string, words: Words, from: ArtifactSource): HTMLElement[] {
  let left = SHOWN;
  const made = found.slice(0, LISTED).map((artifact) => {
    const { name, size } = artifact;
    const row = item(
      make("a", "artifact", link(from.artifactUrl(run, name, true), name), name),
      bytes(size),
    );
    const preview = left > 0 ? previewOf(artifact, run, words, from) : null;
    if (preview) left -= 1;
    row.append(...(preview ? [preview] : []));
    return row;
  });
  return found.length > LISTED ? [...made, item("…", "")] : made;
}

function link(href: string, name: string): Record<string, string> {
  return { href, download: name.split("/").pop() ?? name };
}

function previewOf(
  { name, size, type }: Artifact,
  run: string,
  words: Words,
  from: ArtifactSource,
): HTMLElement | null {
  if (IMAGE.test(type) && size <= IMAGE_BYTES) {
    const src = from.artifactUrl(run, name, false);
    const image = make("img", "artifact-image", { src, alt: name, loading: "lazy" });
    image.addEventListener("error", () => image.remove());
    return image;
  }
  if (!TABLE.test(type) || size > TABLE_BYTES) return null;
  const named = { role: "region", "aria-label": words.__("Table %1", name), tabindex: "0" };
  const place = make("div", "artifact-table", named);
  from.artifactText(run, name).then(
    (text) => place.append(table(parseTable(text, type === "text/csv" ? "," : "\t"), words)),
    () => place.remove(),
  );
  return place;
}

function table(all: string[][], words: Words): HTMLElement {
  const [head = [], ...body] = all;
  const cells = (row: string[], tag: "td" | "th"): HTMLElement =>
    make("tr", "row", {}, ...row.map((text) => make(tag, "cell", {}, text)));
  const made = make(
    "table",
    "table",
    {},
    make("thead", "head", {}, cells(head, "th")),
    make("tbody", "body", {}, ...body.slice(0, ROWS).map((row) => cells(row, "td"))),
  );
  if (body.length <= ROWS) return made;
  const more = words.__("the first %1 of %2 rows", ROWS, body.length);
  return make("div", "tables", {}, made, make("div", "hint", {}, more));
}

function item(name: HTMLElement | string, size: string): HTMLElement {
  return make("li", "artifact-row", {}, name, make("span", "hint", {}, ` ${size}`));
}

function bytes(size: number): string {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, size)) / 3));
  const value = size / 1000 ** unit;
  return `${value.toFixed(unit && value < 100 ? 1 : 0)} ${UNITS[unit] ?? ""}`;
}
