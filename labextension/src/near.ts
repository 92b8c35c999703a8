// Puts off what is far from the screen: a notebook may have many cards.

const DRAWN_MS = 2000;

/** Call `come` once an element is on the screen; give how to call that off. */
export function whenNear(node: HTMLElement, come: () => void): () => void {
  const seen = new IntersectionObserver((entries) => {
    if (!entries.at(-1)?.isIntersecting) return;
    seen.disconnect();
    come();
  });
  seen.observe(node);
  return () => seen.disconnect();
}

/** Wait, for a moment, until nothing within an element is put off any more. */
export async function drawn(node: HTMLElement): Promise<void> {
  const end = performance.now() + DRAWN_MS;
  while (node.querySelector(".jl-waiting") && performance.now() < end) {
    await new Promise(requestAnimationFrame);
  }
}
