// Colours the body of a launched cell as what it is: Python, or a shell's where its first line says so.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { CodeCell, type ICodeCellModel } from "@jupyterlab/cells";
import { INotebookTracker, type Notebook } from "@jupyterlab/notebook";

const SHELL = "text/x-sh";
const SCRIPT = /^\s*%%launch(_add|_form)?\b.*\n#!\s*\S*\b(env\s+)?(ba|da|k|z)?sh\b/;

/** Keep a cell's language as its text says. */
function keep(notebook: Notebook, model: ICodeCellModel): void {
  const look = (): void => {
    const shell = SCRIPT.test(model.sharedModel.getSource());
    if (shell !== (model.mimeType === SHELL)) {
      model.mimeType = shell ? SHELL : notebook.codeMimetype;
    }
  };
  model.sharedModel.changed.connect((_source, change) => {
    if (change.sourceChange) look();
  });
  model.mimeTypeChanged.connect(look); // a kernel of another language came
  look();
}

export const colours: JupyterFrontEndPlugin<void> = {
  id: "jupyter_launch:colours",
  description: "Colours the shell scripts that cells launch.",
  autoStart: true,
  requires: [INotebookTracker],
  activate: (_app: JupyterFrontEnd, tracker: INotebookTracker) => {
    const kept = new WeakSet<ICodeCellModel>();
    const adopt = (notebook: Notebook): void => {
      for (const cell of notebook.widgets) {
        if (!(cell instanceof CodeCell) || kept.has(cell.model)) continue;
        kept.add(cell.model);
        keep(notebook, cell.model);
      }
    };
    const follow = (notebook: Notebook): void => {
      const look = (): void => adopt(notebook);
      const listen = (): void => {
        notebook.model?.cells.changed.connect(look);
        look();
      };
      notebook.modelChanged.connect(listen);
      listen();
    };
    tracker.forEach(({ content }) => follow(content));
    tracker.widgetAdded.connect((_tracker, { content }) => follow(content));
  },
};
