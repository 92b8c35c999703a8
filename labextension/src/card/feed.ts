// The page's side of the protocol for one run: it says what it has, notices what got lost,
// acknowledges what was drawn, and asks.

import {
  Refusal,
  type Answers,
  type Ask,
  type FeederMessage,
  type LinkState,
  type Live,
  type PageMessage,
  type Transport,
  type Verb,
} from "./messages.js";

const ACK_BYTES = 256 * 1024;
const HEARTBEAT_MS = 30_000;
const ANSWER_MS = 15_000;
const PATIENCE_MS = 1000;

/** What a feed tells its card. */
export interface Viewer {
  /** How many lines need not be sent again. */
  have(): number;
  onLive(message: Live, bytes: Uint8Array): void;
  onState(state: LinkState): void;
  /** The feeder does not know the run. */
  onGone(message: string): void;
}

export interface Feed {
  close(): void;
  /** Say whether new lines are wanted; else only their number is told. */
  follow(on: boolean): void;
  /** All that was told has been drawn, or need not be. */
  drawn(): void;
  ask: Ask;
}

interface Waiting {
  resolve: (answer: Answers[Verb] & { bytes: Uint8Array }) => void;
  reject: (reason: Refusal) => void;
  timer: ReturnType<typeof setTimeout>;
}

type Unaddressed<M> = M extends unknown ? Omit<M, "v" | "run"> : never;

export function feed(transport: Transport, run: string, viewer: Viewer): Feed {
  const v = Math.random().toString(36).slice(2, 12);
  const waiting = new Map<number, Waiting>();
  let seq = 0; // of the last message taken
  let watched = 0; // when we last said `watch`
  let following = true;
  let unacknowledged = 0; // bytes
  let asked = 0;

  const send = (message: Unaddressed<PageMessage>): void =>
    transport.send({ ...message, v, run } as PageMessage);
  const watch = (): void => {
    seq = unacknowledged = 0;
    watched = Date.now();
    send({ t: "watch", have: viewer.have() });
    if (!following) send({ t: "follow", on: false });
  };
  const acknowledge = (): void => {
    unacknowledged = 0;
    send({ t: "ack", seq });
  };
  const bye = (): void => send({ t: "bye" });
  const back = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) watch();
  };
  /** End waiting for an answer. */
  const settle = (id: number): Waiting | undefined => {
    const one = waiting.get(id);
    waiting.delete(id);
    clearTimeout(one?.timer);
    return one;
  };
  const refuse = (): void => {
    for (const id of waiting.keys()) settle(id)?.reject(new Refusal("The connection was lost."));
  };

  const live = (message: Live, bytes: Uint8Array): void => {
    // What is for everybody comes from a kernel that has not heard us yet, and has no order.
    if (message.v ? message.seq !== seq + 1 : seq) {
      // Those that were under way when we said `watch` are not meant.
      if (message.v && Date.now() - watched > PATIENCE_MS) watch();
      return;
    }
    if (message.v) seq++;
    unacknowledged += bytes.length;
    viewer.onLive(message, bytes);
  };
  const onMessage = (message: FeederMessage, bytes: Uint8Array): void => {
    if (message.run !== run) return;
    if (message.t === "live") live(message, bytes);
    else if (message.t === "gone") viewer.onGone(message.message);
    else if (message.ok) settle(message.id)?.resolve({ ...message, bytes });
    else settle(message.id)?.reject(new Refusal(message.message, message.hint));
  };
  const onState = (state: LinkState): void => {
    if (state === "connected") watch();
    else refuse();
    viewer.onState(state);
  };

  const unlisten = transport.listen(v, { onMessage, onState });
  const heartbeat = setInterval(acknowledge, HEARTBEAT_MS);
  addEventListener("pagehide", bye);
  addEventListener("pageshow", back);
  if (transport.state === "connected") watch();
  return {
    close: () => {
      bye();
      unlisten();
      clearInterval(heartbeat);
      removeEventListener("pagehide", bye);
      removeEventListener("pageshow", back);
      refuse();
    },
    follow: (on) => {
      if (on === following) return;
      following = on;
      send({ t: "follow", on });
    },
    drawn: () => {
      if (unacknowledged >= ACK_BYTES) acknowledge();
    },
    ask: (verb, parameters) =>
      new Promise((resolve, reject) => {
        const id = ++asked;
        const timer = setTimeout(
          () => settle(id)?.reject(new Refusal("There was no answer.")),
          ANSWER_MS,
        );
        waiting.set(id, { resolve: resolve as Waiting["resolve"], reject, timer });
        send({ t: "ask", id, verb, ...parameters });
      }),
  };
}
