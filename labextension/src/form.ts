// The kernel's form of a launch, shown in place: below the card of the run that it is filled from.

import type { NotebookPanel } from "@jupyterlab/notebook";
import { OutputAreaModel, SimplifiedOutputArea } from "@jupyterlab/outputarea";
import type { Kernel } from "@jupyterlab/services";
import { Panel, Widget } from "@lumino/widgets";

import { button } from "./card/dom.js";
import type { Words } from "./card/messages.js";

/** Python for the form of a recorded run; it leaves nothing behind in the notebook's variables. */
const code = (run: string): string =>
  `(lambda ours: ours.launch_form(ours.Api().run(${JSON.stringify(run)})))(__import__("jupyter_launch"))`;

const PATIENCE_MS = 500;

/** Say whether a kernel is free, or is so in a moment. */
async function idle(kernel: Kernel.IKernelConnection): Promise<boolean> {
  let free = (): void => undefined;
  const freed = new Promise<void>((resume) => (free = resume));
  const look = (): void => {
    if (kernel.status === "idle") free();
  };
  kernel.statusChanged.connect(look);
  look();
  await Promise.race([freed, new Promise((resume) => setTimeout(resume, PATIENCE_MS))]);
  kernel.statusChanged.disconnect(look);
  return kernel.status === "idle";
}

/**
 * Have the notebook's kernel show the form of a run, to be put below an element of a cell.
 * Gives `null` where it cannot do so now: none is there, it is busy, it has no such run.
 */
export async function form(
  panel: NotebookPanel,
  run: string,
  below: HTMLElement,
  words: Words,
): Promise<Widget | null> {
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel || !(await idle(kernel))) return null;
  if ((await kernel.info).language_info.name !== "python") return null;
  const { rendermime } = panel.content;
  const area = new SimplifiedOutputArea({
    model: new OutputAreaModel({ trusted: true }),
    rendermime,
  });
  const cell = panel.content.widgets.find(({ node }) => node.contains(below));
  const place = cell ? { cellId: cell.model.id } : {};
  const asked = { code: code(run), store_history: false };
  const future = kernel.requestExecute(asked, false, place); // kept: cards may come later
  area.future = future;
  const { content } = await future.done;
  if (content.status !== "ok") {
    area.dispose();
    return null;
  }
  const shown = new Panel();
  const close = button("tool", words.__("Close"), () => shown.dispose(), "close");
  shown.addClass("jl-form");
  shown.addWidget(new Widget({ node: close }));
  shown.addWidget(area);
  return shown;
}
