// The log of one run in a tab of its own: the card, as large as there is room.

import { Widget } from "@lumino/widgets";

import { artifacts } from "../card/artifacts.js";
import { Card } from "../card/card.js";
import type { Words } from "../card/messages.js";
import type { Server } from "../server.js";

export class LogView extends Widget {
  readonly #card: Card;
  readonly #artifacts: MutationObserver;

  constructor(
    server: Server,
    words: Words,
    readonly run: string,
  ) {
    super();
    this.addClass("jl-view-tab");
    this.#card = new Card(this.node, words);
    this.#card.show({ id: run });
    this.#card.connect(server);
    this.#artifacts = artifacts(this.#card.node, words, server, () => ({}));
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.#artifacts.disconnect();
      this.#card.dispose();
    }
    super.dispose();
  }
}
