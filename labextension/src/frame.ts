// A message as it comes over a websocket.

import type { FeederMessage } from "./card/messages.js";
import type { Rows } from "./panel/rows.js";

/** Whatever a server says. */
export type Said = FeederMessage | Welcome | Rows;

/** What a server says first: whose runs it knows. */
export interface Welcome {
  t: "welcome";
  store: string;
}

/** Read a frame: JSON as text, or its length in four bytes, the JSON, and a buffer. */
export function parse(data: string | ArrayBuffer): [Said, Uint8Array] {
  if (typeof data === "string") {
    return [JSON.parse(data) as Said, new Uint8Array()];
  }
  const length = new DataView(data).getUint32(0);
  const text = new TextDecoder().decode(new Uint8Array(data, 4, length));
  return [JSON.parse(text) as Said, new Uint8Array(data, 4 + length)];
}
