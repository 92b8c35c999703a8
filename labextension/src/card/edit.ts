// Changing a run's spec before it is launched again.

import { button, listen, make, own, say, told } from "./dom.js";
import type { Words } from "./messages.js";

export interface Editor {
  /** What is in the page as long as something is edited. */
  readonly node: HTMLElement;
  open(spec: unknown): void;
  close(): void;
}

/**
 * Make an editor.
 * @param launch Launches a spec; what it throws is shown.
 */
export function editor(words: Words, launch: (spec: unknown) => Promise<void>): Editor {
  const label = words.__("Launch spec");
  const text = make("textarea", "spec", { "aria-label": label, spellcheck: "false" });
  const problem = make("div", "problem", { role: "alert" });
  const close = (): void => node.remove();
  const submit = async (): Promise<void> => {
    say(problem, "");
    go.disabled = true;
    try {
      await launch(JSON.parse(text.value));
      close();
    } catch (error) {
      const why = told(error);
      say(problem, error instanceof SyntaxError ? words.__("This is not JSON: %1", why) : why);
    }
    go.disabled = false;
  };
  const go = button("button jl-primary", words.__("Launch"), () => void submit());
  const cancel = button("button", words.__("Cancel"), close);
  const node = make("div", "editor", {}, text, make("div", "buttons", {}, go, cancel, problem));
  listen(node, "keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void submit();
    else return;
    own(event);
  });
  return {
    node,
    close,
    open: (spec) => {
      text.value = JSON.stringify(spec, null, 2);
      say(problem, "");
      text.focus();
      text.setSelectionRange(0, 0);
      text.scrollTop = 0;
    },
  };
}
