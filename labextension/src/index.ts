// The plugin for JupyterLab and Notebook.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { INotebookTracker, type NotebookPanel } from "@jupyterlab/notebook";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { ITranslator } from "@jupyterlab/translation";

import { ENGLISH, type Words } from "./card/messages.js";
import { MIME, RunRenderer } from "./renderer.js";
import { Server } from "./server.js";

const RANK = -20; // before the widget's view, which has -10

const plugin: JupyterFrontEndPlugin<void> = {
  id: "jupyter_launch:card",
  description: "Shows launched runs, live.",
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [INotebookTracker, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    registry: IRenderMimeRegistry,
    tracker: INotebookTracker | null,
    translator: ITranslator | null,
  ) => {
    const server = new Server(app.serviceManager.serverSettings);
    const words: Words = translator?.load("jupyter_launch") ?? ENGLISH;
    const draw = (where: IRenderMimeRegistry, panel: NotebookPanel | null): Set<RunRenderer> => {
      const drawn = new Set<RunRenderer>();
      const createRenderer = (): RunRenderer => {
        const renderer = new RunRenderer(server, words, panel);
        drawn.add(renderer);
        renderer.disposed.connect(() => drawn.delete(renderer));
        return renderer;
      };
      where.addFactory({ safe: true, mimeTypes: [MIME], createRenderer }, RANK);
      return drawn;
    };
    const adopt = (panel: NotebookPanel): void => {
      const drawn = draw(panel.content.rendermime, panel);
      panel.context.saveState.connect((_context, state) => {
        if (state === "started") for (const renderer of drawn) renderer.keep();
      });
    };
    draw(registry, null);
    tracker?.forEach(adopt);
    tracker?.widgetAdded.connect((_tracker, panel) => adopt(panel));
  },
};

export default plugin;
