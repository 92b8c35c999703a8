// Launching the active cell again: from its toolbar, the palette and the keyboard.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { Dialog, ICommandPalette, showDialog } from "@jupyterlab/apputils";
import { CodeCell } from "@jupyterlab/cells";
import { INotebookTracker } from "@jupyterlab/notebook";
import { ITranslator } from "@jupyterlab/translation";
import { refreshIcon, runIcon } from "@jupyterlab/ui-components";

import { AGAIN, type Wish } from "./card/host.js";
import { ENGLISH, type SavedRun, type Words } from "./card/messages.js";
import { MIME } from "./renderer.js";
import { checksum } from "./checksum.js";
import { drawn } from "./near.js";

const RELAUNCH = "jupyter-launch:relaunch";
const EDIT_AND_RELAUNCH = "jupyter-launch:edit-and-relaunch";
const RUN_CELL = "notebook:run-cell";
const MAGIC = /^\s*%%?(launch|launch_add|relaunch)\b/;

/** What a cell launched, as its output says. */
interface Launched {
  run: string;
  /** Whether the cell's text is another one than that it was launched from. */
  changed: boolean;
}

function launched(cell: CodeCell): Launched | null {
  const { outputs, sharedModel } = cell.model;
  for (let at = outputs.length - 1; at >= 0; at--) {
    const { data, metadata } = outputs.get(at);
    const { id } = (data[MIME] ?? {}) as SavedRun;
    if (!id) continue;
    const { cell: sum } = (metadata[MIME] ?? {}) as { cell?: number };
    return { run: id, changed: sum !== undefined && sum !== checksum(sharedModel.getSource()) };
  }
  return null;
}

/** The command's dealings with the active cell. */
class Active {
  readonly #app: JupyterFrontEnd;
  readonly #tracker: INotebookTracker;
  readonly #words: Words;

  constructor(app: JupyterFrontEnd, tracker: INotebookTracker, words: Words) {
    [this.#app, this.#tracker, this.#words] = [app, tracker, words];
  }

  get cell(): CodeCell | null {
    const cell = this.#tracker.activeCell;
    return cell instanceof CodeCell ? cell : null;
  }

  get launched(): Launched | null {
    return this.cell && launched(this.cell);
  }

  /** Whether the cell launched something, or would. */
  get concerned(): boolean {
    return Boolean(this.launched ?? MAGIC.test(this.cell?.model.sharedModel.getSource() ?? ""));
  }

  get label(): string {
    const run = this.launched;
    if (!run) return this.#words.__("Launch this cell");
    return run.changed
      ? this.#words.__("Re-launch as recorded: the cell's text has changed since")
      : this.#words.__("Re-launch");
  }

  /** Launch the recorded run again, or the cell's text where there is none or the user says so. */
  async relaunch(): Promise<void> {
    const run = this.launched;
    if (!run) await this.#app.commands.execute(RUN_CELL);
    else if (run.changed) await this.#choose(run.run);
    else await this.ask({ edit: false });
  }

  async #choose(run: string): Promise<void> {
    const words = this.#words;
    const recorded = words.__("Re-launch as recorded");
    const fresh = words.__("Launch the new text");
    const { button } = await showDialog({
      title: words.__("The cell's text has changed"),
      body: words.__("What is recorded of run %1 is the text as it was then.", run),
      buttons: [
        Dialog.cancelButton(),
        Dialog.createButton({ label: fresh }),
        Dialog.okButton({ label: recorded }),
      ],
    });
    if (button.label === recorded) await this.ask({ edit: false });
    else if (button.label === fresh) await this.#app.commands.execute(RUN_CELL);
  }

  /** Have the cell's card launch its run again; say so if it cannot. */
  async ask(detail: Wish): Promise<void> {
    const { cell } = this;
    if (!cell) return;
    await this.#tracker.currentWidget?.content.scrollToCell(cell);
    await drawn(cell.node);
    const cards = [...cell.node.querySelectorAll(".jl-card")];
    const event = new CustomEvent(AGAIN, { detail, cancelable: true });
    cards.at(-1)?.dispatchEvent(event);
    if (event.defaultPrevented) return;
    await showDialog({
      title: this.#words.__("This run cannot be launched again from here"),
      body: this.#words.__("Neither server nor kernel knows it. Run the cell to launch it anew."),
      buttons: [Dialog.okButton()],
    });
  }
}

/** Note whenever the active cell may have become another one, or other than it was. */
function follow(app: JupyterFrontEnd, tracker: INotebookTracker): void {
  const changed = (): void => app.commands.notifyCommandChanged(RELAUNCH);
  let leave = (): void => undefined;
  const become = (active: unknown): void => {
    leave();
    if (active instanceof CodeCell) {
      const { contentChanged, outputs } = active.model; // which a disposed cell has no more
      contentChanged.connect(changed);
      outputs.changed.connect(changed);
      leave = (): void => {
        contentChanged.disconnect(changed);
        outputs.changed.disconnect(changed);
      };
    }
    changed();
  };
  tracker.activeCellChanged.connect((_tracker, active) => become(active));
  become(tracker.activeCell);
}

export const relaunch: JupyterFrontEndPlugin<void> = {
  id: "jupyter_launch:relaunch",
  description: "Launches cells again.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    translator: ITranslator | null,
  ) => {
    const words: Words = translator?.load("jupyter_launch") ?? ENGLISH;
    const active = new Active(app, tracker, words);
    app.commands.addCommand(RELAUNCH, {
      label: () => active.label,
      caption: () => active.label,
      icon: () => (active.launched ? refreshIcon : runIcon),
      isVisible: () => active.concerned,
      isEnabled: () => active.concerned,
      execute: () => active.relaunch(),
    });
    app.commands.addCommand(EDIT_AND_RELAUNCH, {
      label: words.__("Edit and Re-launch…"),
      isEnabled: () => active.launched !== null,
      execute: () => active.ask({ edit: true }),
    });
    for (const command of [RELAUNCH, EDIT_AND_RELAUNCH]) {
      palette?.addItem({ command, category: words.__("Launch") });
    }
    follow(app, tracker);
  },
};
