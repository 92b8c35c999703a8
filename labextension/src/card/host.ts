// What the page around a card may do for it; a card alone needs none of it.

import type { Keeper } from "./keep.js";
import type { Item } from "./menu.js";
import type { Ask, SavedRun } from "./messages.js";

/** The event that asks a card to launch its run again. A card that cannot lets it pass. */
export const AGAIN = "jl-again";

/** The event's detail. */
export interface Wish {
  /** Whether it is to be edited before. */
  edit: boolean;
}

export interface Host {
  /** Where there is a notebook that keeps what is shown. */
  keeper?: Keeper;
  /** The feeder does not know the run. */
  onGone?(): void;
  /** A run was launched again from here, and is shown in the place of the old one. */
  onAgain?(): void;
  /** Open something better than the editor of the spec; say whether that was done. */
  onEdit?(run: string): Promise<boolean>;
  /** What else can be done with a run that is fed. */
  more?(record: SavedRun, ask: Ask): Item[];
}
