// Keys that mean something in a card are not the application's, though that may take keys first.

const USED = /^(Arrow|Page|Home|End|Enter|Tab|Esc|F3| )/;

/** Keep an element's own keys for it, until the function returned is called. */
export function keepKeys(node: HTMLElement): () => void {
  // Lumino looks for this attribute, in Notebook before an event comes here.
  const claim = (event: KeyboardEvent): void => {
    if (!node.contains(event.target as Node)) return;
    node.toggleAttribute("data-lm-suppress-shortcuts", meant(event));
  };
  addEventListener("keydown", claim, true);
  node.addEventListener("keydown", (event) => {
    if (meant(event)) event.stopPropagation();
  });
  return () => removeEventListener("keydown", claim, true);
}

function meant(event: KeyboardEvent): boolean {
  const { key, altKey, shiftKey } = event;
  const target = event.target as Element;
  const plain = !event.ctrlKey && !event.metaKey && !altKey;
  if (target.matches("input, textarea, select")) return plain || key === "Enter";
  if (plain) return !shiftKey && USED.test(key);
  return !altKey && /^f$/i.test(key) && target.closest(".jl-pane") !== null;
}
