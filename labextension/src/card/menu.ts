// A button that opens a menu, which the browser puts above everything else.

import { button, listen, make, own, set } from "./dom.js";

export type Item = [label: string, act: () => void];

/**
 * Make a menu.
 * @param offered Gives what can be chosen now.
 */
export function menu(label: string, offered: () => Item[]): HTMLElement {
  const list = make("div", "menu", { role: "menu", popover: "auto", "aria-label": label });
  const opener = button("tool", label, () => undefined, "more");
  const close = (): void => list.hidePopover();
  opener.popoverTargetElement = list;
  set(opener, "aria-haspopup", "menu");

  const entry = ([text, act]: Item): HTMLElement => {
    const made = button("item", text, () => {
      close();
      act();
    });
    set(made, "role", "menuitem");
    made.tabIndex = -1;
    return made;
  };
  listen(list, "beforetoggle", ({ newState }) => {
    if (newState === "open") list.replaceChildren(...offered().map(entry));
  });
  listen(list, "toggle", ({ newState }) => {
    if (newState !== "open") {
      removeEventListener("scroll", close, true);
      return;
    }
    const { top, bottom, right } = opener.getBoundingClientRect();
    const { offsetHeight, offsetWidth, style } = list;
    style.left = `${Math.max(4, right - offsetWidth)}px`;
    style.top = `${bottom + offsetHeight > innerHeight ? top - offsetHeight - 2 : bottom + 2}px`;
    addEventListener("scroll", close, true);
    (list.firstChild as HTMLElement).focus({ preventScroll: true });
  });
  listen(list, "keydown", (event) => {
    const entries = [...list.children] as HTMLElement[];
    const at = entries.indexOf(document.activeElement as HTMLElement);
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    const to = steps[event.key];
    if (to === undefined) return;
    entries.at(to % entries.length)?.focus();
    own(event);
  });
  return make("div", "menus", {}, opener, list);
}
