/**
 * The store under measurement: operations as prepared requests on keep-alive
 * connections, so that the client costs little.
 *
 * @module
 */

import type { Level, PlacedUpload } from "@kedge/schema";
import {
  headerIn,
  type RawAnswer,
  RawHttp,
  requestBytes,
} from "../helpers/raw_http.ts";
import type { ReadyAgent, Stack } from "../helpers/stack.ts";

/** One operation of a worker; `false`: nothing left to do. */
export type Operation = () => Promise<boolean | void>;

/** Where to place an upload: asked before each one, or once per worker. */
export type Placement = "each" | "once";

const decoder = new TextDecoder();

/** Makes workers for the operations of one running store. */
export class Subject {
  /** IDs of files of one size that were uploaded and not deleted. */
  readonly #ids = new Map<number, string[]>();
  readonly #caCerts: string[];

  /**
   * Measure this store.
   *
   * @param stack A running `kedge start`.
   * @param caCerts Authority of its certificates, in PEM.
   */
  constructor(readonly stack: Stack, caCerts: string[] = []) {
    this.#caCerts = caCerts;
  }

  /** Tracker and agents. */
  get pids(): number[] {
    const { agents, tracker_pid } = this.stack.ready;
    return [tracker_pid, ...agents.map(({ pid }) => pid)];
  }

  /** Files of this size that exist. */
  ids(sizeBytes: number): string[] {
    const known = this.#ids.get(sizeBytes);
    if (known !== undefined) return known;
    const made: string[] = [];
    this.#ids.set(sizeBytes, made);
    return made;
  }

  /** A worker that uploads. */
  async uploader(
    sizeBytes: number,
    level: Level,
    placement: Placement,
  ): Promise<Operation> {
    const tracker = await this.#connect(this.stack.ready.tracker);
    const connections = new Map<string, RawHttp>();
    const ids = this.ids(sizeBytes);
    const body = content(sizeBytes);
    const ask = requestBytes("POST", "/v1/uploads", {
      host: new URL(this.stack.ready.tracker).host,
      headers: this.#keyed({ "content-type": "application/json" }),
      body: new TextEncoder().encode(JSON.stringify({ sizeBytes, level })),
    });
    let request: { raw: RawHttp; bytes: Uint8Array } | undefined;
    const place = async () => {
      const answer = await tracker.ask(ask, "body");
      expect(answer, 201);
      const placed = JSON.parse(decoder.decode(answer.body)) as PlacedUpload;
      const url = new URL(placed.url);
      const raw = connections.get(url.host) ?? await this.#connect(placed.url);
      connections.set(url.host, raw);
      const bytes = requestBytes("PUT", url.pathname + url.search, {
        host: url.host,
        headers: { "x-kedge-level": level },
        body,
      });
      return { raw, bytes };
    };
    return async () => {
      if (request === undefined || placement === "each") {
        request = await place();
      }
      stamp(request.bytes, sizeBytes);
      const answer = await request.raw.ask(request.bytes, "body");
      expect(answer, 201);
      const id = /"id":"([^"]+)"/.exec(decoder.decode(answer.body))?.[1];
      if (id !== undefined) ids.push(id);
    };
  }

  /** A worker that downloads from an agent. */
  async downloader(sizeBytes: number, agent: ReadyAgent): Promise<Operation> {
    const raw = await this.#connect(agent.url);
    const { host } = new URL(agent.url);
    const ids = this.ids(sizeBytes);
    let n = Math.floor(Math.random() * ids.length);
    return async () => {
      const id = ids[n++ % ids.length];
      if (id === undefined) return false;
      const answer = await raw.ask(requestBytes("GET", `/${id}`, { host }));
      expect(answer, 200);
      if (answer.bodyBytes !== sizeBytes) throw new Error("wrong length");
    };
  }

  /** A worker that asks the tracker where, then downloads there. */
  async redirectedDownloader(sizeBytes: number): Promise<Operation> {
    const { tracker } = this.stack.ready;
    const raw = await this.#connect(tracker);
    const { host } = new URL(tracker);
    const connections = new Map<string, RawHttp>();
    const ids = this.ids(sizeBytes);
    let n = Math.floor(Math.random() * ids.length);
    return async () => {
      const id = ids[n++ % ids.length];
      if (id === undefined) return false;
      const where = await raw.ask(requestBytes("GET", `/${id}`, { host }));
      expect(where, 307);
      const url = new URL(headerIn(where.head, "location") ?? "");
      const agent = connections.get(url.host) ?? await this.#connect(url.href);
      connections.set(url.host, agent);
      const path = url.pathname + url.search;
      const answer = await agent.ask(
        requestBytes("GET", path, { host: url.host }),
      );
      expect(answer, 200);
    };
  }

  /** A worker that deletes, each file once. */
  async deleter(sizeBytes: number): Promise<Operation> {
    const { tracker } = this.stack.ready;
    const raw = await this.#connect(tracker);
    const { host } = new URL(tracker);
    const connections = new Map<string, RawHttp>();
    const ids = this.ids(sizeBytes);
    return async () => {
      const id = ids.pop();
      if (id === undefined) return false;
      const headers = this.#keyed({});
      const where = await raw.ask(
        requestBytes("DELETE", `/v1/files/${id}`, { host, headers }),
      );
      expect(where, 307);
      const url = new URL(headerIn(where.head, "location") ?? "");
      const agent = connections.get(url.host) ?? await this.#connect(url.href);
      connections.set(url.host, agent);
      const path = url.pathname + url.search;
      const answer = await agent.ask(
        requestBytes("DELETE", path, { host: url.host }),
      );
      expect(answer, 200);
    };
  }

  #connect(base: string): Promise<RawHttp> {
    return RawHttp.open(base, this.#caCerts);
  }

  #keyed(headers: Record<string, string>): Record<string, string> {
    const { key } = this.stack.api;
    return key ? { ...headers, authorization: `Bearer ${key}` } : headers;
  }
}

/** Bytes to upload. */
export function content(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

/** Make the next body differ from the one before. */
function stamp(request: Uint8Array, sizeBytes: number): void {
  if (sizeBytes < 8) return;
  crypto.getRandomValues(request.subarray(request.length - 8));
}

function expect(answer: RawAnswer, status: number): void {
  if (answer.status === status) return;
  const body = decoder.decode(answer.body);
  throw new Error(`${answer.status} instead of ${status}: ${body}`);
}
