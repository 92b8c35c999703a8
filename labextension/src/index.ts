// The plugin for JupyterLab and Notebook.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { INotebookTracker, type NotebookPanel } from "@jupyterlab/notebook";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { ITranslator } from "@jupyterlab/translation";

import { ENGLISH, type Words } from "./card/messages.js";
import { colours } from "./colours.js";
import { panel } from "./panel/plugin.js";
import { relaunch } from "./relaunch.js";
import { MIME, RunRenderer } from "./renderer.js";
import { IServer, Server } from "./server.js";

const RANK = -20; // before the widget's view, which has -10

const server: JupyterFrontEndPlugin<Server> = {
  id: "jupyter_launch:server",
  description: "The way to the server that all parts of a page share.",
  autoStart: true,
  provides: IServer,
  activate: (app: JupyterFrontEnd) => new Server(app.serviceManager.serverSettings),
};

const card: JupyterFrontEndPlugin<void> = {
  id: "jupyter_launch:card",
  description: "Shows launched runs, live.",
  autoStart: true,
  requires: [IRenderMimeRegistry, IServer],
  optional: [INotebookTracker, ITranslator],
  activate: (
    _app: JupyterFrontEnd,
    registry: IRenderMimeRegistry,
    server: Server,
    tracker: INotebookTracker | null,
    translator: ITranslator | null,
  ) => {
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

export default [server, card, colours, panel, relaunch];
