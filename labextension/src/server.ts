// The Jupyter server as a feeder: REST for what acts, one websocket for all that is watched.

import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import { PromiseDelegate, Token } from "@lumino/coreutils";

import {
  Refusal,
  type LinkState,
  type Listener,
  type PageMessage,
  type Transport,
} from "./card/messages.js";
import type { Artifact, ArtifactSource } from "./card/artifacts.js";
import { parse } from "./frame.js";
import type { Asked, ListListener, Rows } from "./panel/rows.js";

const API = "jupyter-launch/api";
const AGAIN_MS = 500; // at first
const AGAIN_MOST_MS = 5000;

/** The one way to the server that all parts of a page share. */
export const IServer = new Token<Server>("jupyter_launch:IServer");

export class Server implements Transport, ArtifactSource {
  state: LinkState = "lost";
  readonly #settings: ServerConnection.ISettings;
  readonly #listeners = new Map<string, Listener>();
  readonly #lists = new Map<string, [Asked, ListListener]>();
  readonly #used = new PromiseDelegate<void>();
  #named = 0;
  #store: Promise<string | null> | null = null;
  #socket: WebSocket | null = null;
  #pause = AGAIN_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(settings: ServerConnection.ISettings) {
    this.#settings = settings;
    addEventListener("online", () => {
      if (this.state === "reconnecting") this.#open();
    });
  }

  /** Id of the store whose runs this server knows; `null` where it has no such extension. */
  store(): Promise<string | null> {
    return (this.#store ??= this.#known());
  }

  /** Ask until the server answers: a card that took silence for a no would stay as it was saved. */
  async #known(): Promise<string | null> {
    for (let pause = AGAIN_MS; ; pause = Math.min(2 * pause, AGAIN_MOST_MS)) {
      try {
        return (await this.request<{ id: string }>("store")).id;
      } catch (error) {
        if (error instanceof ServerConnection.ResponseError) return null;
      }
      await new Promise((resume) => setTimeout(resume, pause));
    }
  }

  /** Settles once this page looks at runs: until then it is to cost nothing. */
  get used(): Promise<void> {
    return this.#used.promise;
  }

  /**
   * Be told of a list, and of its changes, until `close` is called.
   * @returns Asks for another list in its place, or ends it.
   */
  list(asked: Asked, listener: ListListener): { ask(asked: Asked): void; close(): void } {
    const v = `list-${++this.#named}`;
    const ask = (now: Asked): void => {
      this.#lists.set(v, [now, listener]);
      this.#ask(v, now); // or as soon as there is a connection
    };
    ask(asked);
    if (!this.#socket) this.#open();
    return {
      ask,
      close: () => {
        this.#lists.delete(v);
        this.#say({ t: "list", v, on: false });
      },
    };
  }

  // -- Transport -----------------------------------------------------------------------------------

  send(message: PageMessage): void {
    this.#say(message);
  }

  #ask(v: string, asked: Asked): void {
    this.#say({ t: "list", v, on: true, ...asked });
  }

  #say(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  listen(v: string, listener: Listener): () => void {
    this.#listeners.set(v, listener);
    if (!this.#socket) this.#open();
    return () => this.#listeners.delete(v);
  }

  async stop(run: string, kill: boolean): Promise<void> {
    await this.request(`runs/${encodeURIComponent(run)}/stop`, { kill });
  }

  async relaunch(run: string, spec: unknown): Promise<string> {
    const path = `runs/${encodeURIComponent(run)}/relaunch`;
    return (await this.request<{ id: string }>(path, spec === undefined ? {} : { spec })).id;
  }

  logUrl(run: string, download: boolean): string {
    const url = URLExt.join(this.#settings.baseUrl, API, "runs", encodeURIComponent(run), "log");
    return download ? `${url}?download=1` : url;
  }

  // -- artifacts -----------------------------------------------------------------------------------

  async artifacts(run: string): Promise<Artifact[]> {
    const path = `runs/${encodeURIComponent(run)}/artifacts`;
    return (await this.request<{ artifacts: Artifact[] }>(path)).artifacts;
  }

  artifactUrl(run: string, name: string, download: boolean): string {
    const parts = ["runs", run, "artifacts", ...name.split("/")].map(encodeURIComponent);
    const url = URLExt.join(this.#settings.baseUrl, API, ...parts);
    return download ? `${url}?download=1` : url;
  }

  async artifactText(run: string, name: string): Promise<string> {
    const url = this.artifactUrl(run, name, false);
    const response = await ServerConnection.makeRequest(url, {}, this.#settings);
    if (!response.ok) throw new ServerConnection.ResponseError(response);
    return response.text();
  }

  // -- REST ----------------------------------------------------------------------------------------

  /** Send a body if there is one, and give the answer. */
  async request<T>(path: string, body?: object, method = "POST"): Promise<T> {
    const url = URLExt.join(this.#settings.baseUrl, API, path);
    const init = body ? { method, body: JSON.stringify(body) } : {};
    const response = await ServerConnection.makeRequest(url, init, this.#settings);
    if (response.ok) return (await response.json()) as T;
    if (response.status === 404 && !body) throw new ServerConnection.ResponseError(response);
    const { message, hint } = (await response.json().catch(() => ({}))) as Partial<Refusal>;
    throw new Refusal(message ?? `${response.status} ${response.statusText}`, hint);
  }

  // -- the websocket -------------------------------------------------------------------------------

  #open(): void {
    clearTimeout(this.#timer);
    this.#used.resolve();
    const { wsUrl, token, appendToken, WebSocket } = this.#settings;
    const url = URLExt.join(wsUrl, API, "stream");
    const query = appendToken && token ? `?token=${encodeURIComponent(token)}` : "";
    const socket = new WebSocket(url + query);
    this.#socket?.close();
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }): void => {
      if (socket === this.#socket) this.#take(data as string | ArrayBuffer);
    };
    socket.onclose = (): void => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #take(data: string | ArrayBuffer): void {
    const [message, bytes] = parse(data);
    if (message.t === "welcome") {
      this.#pause = AGAIN_MS;
      for (const [v, [asked]] of this.#lists) this.#ask(v, asked); // whatever store it is
      void this.store().then((store) =>
        this.#become(store === message.store ? "connected" : "lost"),
      );
    } else if (message.t === "rows" || this.#lists.has(message.v)) {
      this.#lists.get(message.v)?.[1].onRows(message as Rows);
    } else this.#listeners.get(message.v)?.onMessage(message, bytes);
  }

  #lost(): void {
    this.#become("reconnecting");
    this.#socket = null;
    if (!this.#listeners.size && !this.#lists.size) return; // the next one opens it
    // Not all pages at the same moment.
    const pause = this.#pause * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#open(), pause);
    this.#pause = Math.min(2 * this.#pause, AGAIN_MOST_MS);
  }

  #become(state: LinkState): void {
    if (state === this.state) return;
    this.state = state;
    for (const listener of [...this.#listeners.values()]) listener.onState(state);
    for (const [, listener] of [...this.#lists.values()]) {
      listener.onLink(state);
    }
  }
}
