// Launching a whole notebook: what is asked before, and what is sent.

import { Dialog, showDialog } from "@jupyterlab/apputils";
import { Widget } from "@lumino/widgets";

import { make } from "../card/dom.js";
import type { Words } from "../card/messages.js";
import type { Server } from "../server.js";

/** What is asked for beside the notebook, as fields of a launch spec. */
export type Spec = Record<string, unknown>;

/** A page of the dialog: where the notebook shall run, and with what. */
class Question extends Widget implements Dialog.IBodyWidget<Spec> {
  readonly #resource;
  readonly #image;
  readonly #requirements;
  readonly #config;

  constructor(words: Words) {
    super();
    this.addClass("jl-question");
    this.#resource = make("select", "choice");
    this.#resource.append(
      new Option(words.__("In a container"), "local-container"),
      new Option(words.__("As a process beside this server"), "local-process"),
    );
    this.#image = make("input", "input", { placeholder: "python:3.12-slim" });
    this.#requirements = make("input", "input", { placeholder: "papermill ipykernel" });
    this.#config = make("textarea", "input", { rows: "3", placeholder: "lr = 0.1" });
    const field = (label: string, input: HTMLElement): HTMLElement =>
      make("label", "field", {}, make("span", "label", {}, label), input);
    this.node.append(
      field(words.__("Where"), this.#resource),
      field(words.__("Image"), this.#image),
      field(words.__("Requirements"), this.#requirements),
      field(words.__("Parameters, one in a line"), this.#config),
    );
  }

  getValue(): Spec {
    const requirements = this.#requirements.value.split(/[\s,]+/).filter(Boolean);
    const image = this.#image.value.trim();
    const config = parameters(this.#config.value);
    return {
      resource: this.#resource.value,
      ...(image && { docker: { docker_image: image } }),
      ...(requirements.length && { requirements }),
      ...(Object.keys(config).length && { overrides: { run_config: config } }),
    };
  }
}

/** Read lines `name = value`; values are JSON where they can be, else text. */
export function parameters(text: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const line of text.split("\n")) {
    const [, name, value = ""] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (!name) continue;
    try {
      found[name] = JSON.parse(value) as unknown;
    } catch {
      found[name] = value;
    }
  }
  return found;
}

/** Ask what a notebook is to be launched with; `null`: not at all. */
export async function question(words: Words, path: string): Promise<Spec | null> {
  const { button, value } = await showDialog({
    title: words.__("Launch %1", path.replace(/^.*\//, "")),
    body: new Question(words),
    buttons: [
      Dialog.cancelButton({ label: words.__("Cancel") }),
      Dialog.okButton({ label: words.__("Launch") }),
    ],
  });
  return button.accept ? value : null;
}

/** Launch a notebook of the server. */
export function launchFile(
  server: Server,
  path: string,
  spec: Spec,
): Promise<{ id: string; name: string }> {
  return server.request("runs", { path, spec });
}
