// The plugin for JupyterLab: the runs panel, logs in tabs, launching notebooks, notifications.

import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from "@jupyterlab/application";
import {
  ICommandPalette,
  MainAreaWidget,
  Notification as Notices,
  WidgetTracker,
} from "@jupyterlab/apputils";
import { INotebookTracker, type NotebookPanel } from "@jupyterlab/notebook";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { ITranslator } from "@jupyterlab/translation";
import { listIcon, runIcon } from "@jupyterlab/ui-components";

import { told } from "../card/dom.js";
import { ENGLISH, type Words } from "../card/messages.js";
import { IServer, type Server } from "../server.js";
import { LogView } from "./log.js";
import { launchFile, question } from "./notebook.js";
import { notices } from "./notices.js";
import { RunsPanel, TABS, type TabName } from "./panel.js";

const ID = "jupyter_launch:panel";
const SHOW = "jupyter-launch:show-runs";
const OPEN_LOG = "jupyter-launch:open-log";
const LAUNCH_NOTEBOOK = "jupyter-launch:launch-notebook";

/** What the settings say; see `schema/panel.json`. */
interface Settings {
  view: TabName;
  tabs: TabName[];
  grouped: boolean;
  launchNotebook: boolean;
  notifications: boolean;
  browserNotifications: boolean;
}

const USUAL: Settings = {
  view: "runs",
  tabs: [...TABS],
  grouped: false,
  launchNotebook: true,
  notifications: true,
  browserNotifications: false,
};

/** The panel's dealings with the application. */
class Desk {
  readonly #app: JupyterFrontEnd;
  readonly #words: Words;
  readonly #server: Server;
  readonly #panel: RunsPanel;
  readonly #logs = new WidgetTracker<MainAreaWidget<LogView>>({ namespace: "jupyter-launch-log" });
  settings = USUAL;

  constructor(app: JupyterFrontEnd, server: Server, words: Words) {
    [this.#app, this.#server, this.#words] = [app, server, words];
    this.#panel = new RunsPanel(server, words, {
      open: (run) => this.open(run),
      goTo: (notebook, cell) => this.#goTo(notebook, cell),
    });
    this.#panel.id = "jupyter-launch-runs";
    this.#panel.title.icon = listIcon;
    this.#panel.title.caption = words.__("Launched runs");
    this.#panel.node.setAttribute("role", "region");
    this.#panel.node.setAttribute("aria-label", words.__("Launched runs"));
    app.shell.add(this.#panel, "left", { rank: 450, type: "Launched runs" });
  }

  restore(restorer: ILayoutRestorer): void {
    restorer.add(this.#panel, this.#panel.id);
    void restorer.restore(this.#logs, {
      command: OPEN_LOG,
      args: ({ content, title }) => ({ run: content.run, name: title.label }),
      name: ({ content }) => content.run,
    });
  }

  /** Take over what the settings say; the first time also how the panel begins. */
  configure(settings: Settings, first: boolean): void {
    this.settings = settings;
    const { tabs, view, grouped, browserNotifications } = settings;
    this.#panel.offer(tabs);
    if (first) {
      this.#panel.bring(view);
      this.#panel.filter({ grouped });
    }
    if (!tabs.length) this.#panel.parent = null;
    else if (!this.#panel.parent) this.#app.shell.add(this.#panel, "left", { rank: 450 });
    this.#app.commands.notifyCommandChanged();
    if (browserNotifications && "Notification" in window) void Notification.requestPermission();
  }

  /** Tell of runs that end, once this page looks at any. */
  async tellOfEnds(): Promise<void> {
    await this.#server.used;
    const wishes = (): { inside: boolean; outside: boolean } => ({
      inside: this.settings.notifications,
      outside: this.settings.browserNotifications,
    });
    notices(this.#server, this.#words, wishes, (run) => this.open(run));
  }

  show(): void {
    this.#app.shell.activateById(this.#panel.id);
  }

  /** Show a run's log in a tab, the one it has if it has one. */
  open({ id, name }: { id: string; name?: string }): void {
    let tab = this.#logs.find(({ content }) => content.run === id);
    if (!tab) {
      tab = new MainAreaWidget({ content: new LogView(this.#server, this.#words, id) });
      tab.id = `jupyter-launch-log-${id}`;
      tab.title.label = name ?? id;
      tab.title.caption = id;
      tab.title.icon = listIcon;
      tab.title.closable = true;
      void this.#logs.add(tab);
    }
    if (!tab.isAttached) this.#app.shell.add(tab, "main");
    this.#app.shell.activateById(tab.id);
  }

  async launch(panel: NotebookPanel): Promise<void> {
    const { path } = panel.context;
    const spec = await question(this.#words, path);
    if (!spec) return;
    try {
      await panel.context.save();
      this.open(await launchFile(this.#server, path, spec));
    } catch (error) {
      Notices.error(told(error), { autoClose: false });
    }
  }

  async #goTo(path: string, cell: string | null): Promise<void> {
    const opened: unknown = await this.#app.commands.execute("docmanager:open", { path });
    const panel = opened as NotebookPanel | undefined;
    if (!panel || !cell) return;
    await panel.revealed;
    const at = panel.content.widgets.findIndex(({ model }) => model.id === cell);
    if (at < 0) throw new Error(this.#words.__("That cell is not in the notebook any more."));
    panel.content.activeCellIndex = at;
    await panel.content.scrollToItem(at);
  }
}

function commands(
  app: JupyterFrontEnd,
  desk: Desk,
  words: Words,
  tracker: INotebookTracker | null,
): void {
  const { commands } = app;
  const here = (): NotebookPanel | null => {
    const notebook = tracker?.currentWidget ?? null;
    return notebook === app.shell.currentWidget ? notebook : null;
  };
  commands.addCommand(SHOW, {
    label: words.__("Show Launched Runs"),
    icon: listIcon,
    isVisible: () => desk.settings.tabs.length > 0,
    execute: () => desk.show(),
  });
  commands.addCommand(OPEN_LOG, {
    label: words.__("Open a Run's Log"),
    isVisible: (args) => typeof args.run === "string",
    execute: ({ run, name }) => {
      if (typeof run !== "string") return;
      desk.open({ id: run, ...(typeof name === "string" && { name }) });
    },
  });
  commands.addCommand(LAUNCH_NOTEBOOK, {
    label: ({ toolbar }) => (toolbar ? "" : words.__("Launch Notebook…")),
    caption: words.__("Save the notebook and run all of it as a program"),
    icon: runIcon,
    isEnabled: () => here() !== null,
    isVisible: () => desk.settings.launchNotebook,
    execute: async () => {
      const panel = here();
      if (panel) await desk.launch(panel);
    },
  });
}

/** What the application may have, in the order in which the plugin asks for it. */
type Optional = [
  ILabShell | null,
  ILayoutRestorer | null,
  INotebookTracker | null,
  ICommandPalette | null,
  ISettingRegistry | null,
  ITranslator | null,
];

export const panel: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: "Lists launched runs, queues and jobs, and launches notebooks.",
  autoStart: true,
  requires: [IServer],
  optional: [
    ILabShell,
    ILayoutRestorer,
    INotebookTracker,
    ICommandPalette,
    ISettingRegistry,
    ITranslator,
  ],
  activate: (
    app: JupyterFrontEnd,
    server: Server,
    ...[shell, restorer, tracker, palette, registry, translator]: Optional
  ) => {
    if (!shell) return; // Notebook shows one document, and nothing beside it
    const words: Words = translator?.load("jupyter_launch") ?? ENGLISH;
    const desk = new Desk(app, server, words);
    commands(app, desk, words, tracker);
    const category = words.__("Launch");
    for (const command of [SHOW, LAUNCH_NOTEBOOK]) palette?.addItem({ command, category });
    if (restorer) desk.restore(restorer);
    void desk.tellOfEnds();
    registry?.load(ID).then(
      async (loaded) => {
        await app.restored; // which may put the panel where it was
        const take = (first: boolean): void =>
          desk.configure({ ...USUAL, ...(loaded.composite as Partial<Settings>) }, first);
        take(true);
        loaded.changed.connect(() => take(false));
      },
      () => undefined, // no such settings here: the usual ones hold
    );
  },
};
