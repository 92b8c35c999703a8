// Making elements. Nothing here takes markup.

import type { Words } from "./messages.js";

const SVG = "http://www.w3.org/2000/svg";

export type Child = Node | string;

/** Make an element of class `jl-name`. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  name: string,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = `jl-${name}`;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Make a button; its label is what it says, or what it is called when it shows an icon. */
export function button(
  name: string,
  label: string,
  act: () => void,
  icon?: Icon,
): HTMLButtonElement {
  const named: Record<string, string> = icon ? { title: label, "aria-label": label } : {};
  const made = make("button", name, { type: "button", ...named }, icon ? draw(icon) : label);
  listen(made, "click", act);
  return made;
}

export function listen<K extends keyof HTMLElementEventMap>(
  element: HTMLElement,
  event: K,
  act: (event: HTMLElementEventMap[K]) => void,
): void {
  element.addEventListener(event, act);
}

/** Let an event mean nothing to anybody else. */
export function own(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}

export function svg(tag: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

// Strokes on a field of 16 x 16.
const ICONS = {
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14",
  wrap: "M2 3.5h12M2 8h9.5a2.25 2.25 0 0 1 0 4.5H8m0 0 2-2m-2 2 2 2M2 12.5h3",
  numbers: "M3 3.5 4.2 3v4M3 10h2l-2 3.2h2M8 5h6M8 11h6",
  times: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.4 1.6",
  copy: "M6 6h7v7.5H6zM10 6V2.5H3V10h3",
  download: "M8 2.5v7.5m0 0L5 7m3 3 3-3M3 13h10",
  up: "M3.5 10 8 5.5l4.5 4.5",
  down: "M3.5 6 8 10.5 12.5 6",
  close: "M4 4l8 8m0-8-8 8",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
} as const;

export type Icon = keyof typeof ICONS;

export function draw(name: Icon): SVGElement {
  const icon = svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: "jl-icon" });
  icon.append(svg("path", { d: ICONS[name] }));
  return icon;
}

/** Set a text unless it is the same, so that screen readers do not repeat it. */
export function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Set a text; without any the element is hidden. */
export function say(element: HTMLElement, text: string): void {
  write(element, text);
  if (element.hidden === Boolean(text)) element.hidden = !text;
}

/** Set an attribute unless it is the same. */
export function set(element: HTMLElement, name: string, value: string | boolean | number): void {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Put text on the clipboard. Gives what to tell the user of it. */
export async function toClipboard(words: Words, text: string): Promise<string> {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages from a plain http address have no clipboard of that kind.
    const area = make("textarea", "sr");
    area.value = text;
    document.body.append(area);
    area.select();
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    done = document.execCommand("copy");
    area.remove();
  }
  return done ? words.__("Copied") : words.__("The browser did not allow copying");
}

/** What an error tells the user. */
export function told(error: unknown): string {
  const { message, hint } = error as { message?: string; hint?: string };
  return [message ?? String(error), hint].filter(Boolean).join(" ");
}

/** Open an address in a new tab, or save what is there under a name. */
export function save(url: string, name: string | null): void {
  const how: Record<string, string> =
    name === null ? { target: "_blank", rel: "noopener" } : { download: name };
  make("a", "sr", { href: url, ...how }).click();
}
