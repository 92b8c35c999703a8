// The tab of jobs: each in its versions, to be launched as it is or from a cell.

import { button, make, write } from "../card/dom.js";
import type { Words } from "../card/messages.js";
import type { Drawn, JobRow } from "./rows.js";

export interface JobActions {
  launch(ref: string): void;
  copy(text: string): void;
}

export function jobRow(words: Words, actions: JobActions): Drawn<JobRow> {
  const name = make("span", "open");
  const versions = make("select", "choice", { "aria-label": words.__("Version") });
  const launch = button("button", words.__("Launch now"), () => actions.launch(versions.value));
  const copy = button("button", words.__("Copy %launch"), () =>
    actions.copy(`%launch -j ${versions.value}`),
  );
  const node = make(
    "li",
    "job",
    {},
    make("div", "top", {}, name, versions),
    make("div", "bottom", {}, make("div", "tools", {}, launch, copy)),
  );
  return {
    node,
    draw: (job) => {
      write(name, job.id);
      const chosen = versions.value;
      versions.replaceChildren(
        ...job.versions.map(({ ref, aliases }) => new Option(aliases.join(", "), ref)),
      );
      if (job.versions.some(({ ref }) => ref === chosen)) versions.value = chosen;
    },
  };
}
