// What a page and a feeder say to each other, and what they say it about. A feeder is the Jupyter
// server or a kernel; both speak the same over a websocket and a comm. The other side of this is
// `jupyter_launch/frontends/feed.py`.

/** One of the runs that were launched from one another. */
export interface Attempt {
  id: string;
  state: string;
  symbol: string;
}

/** A run as it is shown beside its log: plain values, without secrets. Times are Unix seconds. */
export interface RunRecord {
  id: string;
  store: string;
  state: string;
  symbol: string;
  color: string;
  terminal: boolean;
  name: string;
  program: string;
  facts: string[];
  reason: string;
  doing: string;
  hint: string;
  notices: string[];
  stopping: boolean;
  killing: boolean;
  grace: number;
  exit_code: number | null;
  created: number;
  started: number | null;
  ended: number | null;
  relaunchable: boolean;
  attempts: Attempt[];
  parent: string | null;
}

/** A record as a notebook keeps it: with the end of the log. */
export interface SavedRun extends Partial<RunRecord> {
  tail?: string;
  earlier?: boolean;
  /** The first of what it left behind: name, size in bytes. */
  artifacts?: [string, number][];
  artifact_count?: number;
}

/** Lines of the log that replace whatever the page has from line `first` on. */
export interface LinesHead {
  first: number;
  count: number;
  /** SGR parameters in force at the start. */
  style: string;
  /** [line counted from `first`, stream 1 or 2]: where it changes. */
  streams: [number, number][];
  /** [line counted from `first`, Unix seconds]: where it changes. */
  times: [number, number][];
}

/** [at, cores in use, bytes of memory, limit of memory or 0, use of GPUs 0..1, their bytes]. */
export type SampleRow = [number, number, number, number, number | null, number | null];

/** What is searched for. */
export interface Query {
  text: string;
  case: boolean;
  regex: boolean;
}

export interface Hits {
  lines: number[];
  more: boolean;
}

export type MimeData = Record<string, unknown>;

export interface Live {
  t: "live";
  v: string;
  run: string;
  seq: number;
  now: number;
  record?: RunRecord;
  total?: number;
  log?: LinesHead;
  samples?: SampleRow[];
}

export interface Answers {
  lines: { log: LinesHead; total: number };
  find: Hits;
  bundle: { bundle: MimeData };
  copy: { text: string };
  spec: { spec: unknown };
  diff: { lines: string[] };
  stop: object;
  relaunch: { run: string };
}

export type Verb = keyof Answers;

export type Answer =
  | ({ t: "answer"; v: string; run: string; id: number; ok: true } & Partial<
      Answers[Exclude<Verb, "stop">]
    >)
  | {
      t: "answer";
      v: string;
      run: string;
      id: number;
      ok: false;
      message: string;
      hint?: string;
    };

export interface Gone {
  t: "gone";
  v: string;
  run: string;
  message: string;
}

export type FeederMessage = Live | Answer | Gone;

export type PageMessage = { v: string; run: string } & (
  | { t: "watch"; have: number }
  | { t: "follow"; on: boolean }
  | { t: "ack"; seq: number }
  | { t: "bye" }
  | ({ t: "ask"; id: number; verb: Verb } & Record<string, unknown>)
);

export type LinkState = "connected" | "reconnecting" | "lost";

/** The way to a feeder; many viewers may share it. */
export interface Transport {
  readonly state: LinkState;
  send(message: PageMessage): void;
  /** Hand all that is meant for viewer `v` to the listener, until the function returned is called. */
  listen(v: string, listener: Listener): () => void;
  stop(run: string, kill: boolean, ask: Ask): Promise<unknown>;
  /** Launch a run again, with another spec if one is given. Gives the new run's id. */
  relaunch(run: string, spec: unknown, ask: Ask): Promise<string>;
  /** Where the whole log can be had as a file; `null` where only questions are answered. */
  logUrl(run: string, download: boolean): string | null;
}

export type Ask = <V extends Verb>(
  verb: V,
  parameters?: Record<string, unknown>,
) => Promise<Answers[V] & { bytes: Uint8Array }>;

export interface Listener {
  onMessage(message: FeederMessage, bytes: Uint8Array): void;
  onState(state: LinkState): void;
}

/** Said to the user as it is. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly hint = "",
  ) {
    super(message);
  }
}

/** The user's language; `%1`, `%2` … stand for the arguments. */
export interface Words {
  __(text: string, ...values: (string | number)[]): string;
}

export const ENGLISH: Words = {
  __: (text, ...values) =>
    text.replace(/%(\d)/g, (_, place: string) => String(values[Number(place) - 1])),
};
