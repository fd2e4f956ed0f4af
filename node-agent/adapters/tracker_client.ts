/**
 * Talks to trackers over HTTP: any of several, the next one when one fails.
 *
 * Every answer is checked against its schema and read only up to a limit. A
 * change of the register whose answer is lost is `unknown`: it may have happened.
 *
 * @module
 */

import {
  GroupRegister,
  type Heartbeat,
  HeartbeatReply,
  type JoinBody,
  JoinReply,
  type NodeId,
  type RegisterChange,
} from "@kedge/schema";
import { FastdfsView } from "@kedge/schema/fastdfs-view";
import type { z } from "zod";
import type { RegisterAnswer, TrackerPort } from "../ports.ts";

/** Longest wait for one tracker, in milliseconds. Source: promises.md §6.3. */
const TIMEOUT_MS = 1000;
/** Longest wait for the answer to a join, in milliseconds: a person waits. */
const JOIN_TIMEOUT_MS = 10_000;
/** Longest answer that is read, in bytes: 16 members and a few keys. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/** Who asks. */
export interface TrackerClientOptions {
  /** Base URLs of trackers, without a slash at the end; at least one. */
  readonly trackers: readonly string[];
  readonly node: NodeId;
  readonly group: string;
  /** What the join gave. Never logged. */
  readonly credential: string;
  /** More certificate authorities to trust, PEM. */
  readonly caCerts?: readonly string[] | undefined;
  /** For tests. */
  readonly timeoutMs?: number | undefined;
}

/** A tracker refused: it will refuse the same again. */
export class TrackerRefusal extends Error {
  /** HTTP status. */
  readonly status: number;
  /** The body, when it was JSON. */
  readonly body: unknown;

  /** What the tracker said. */
  constructor(status: number, body: unknown) {
    super(sentenceOf(status, body));
    this.status = status;
    this.body = body;
  }
}

/** One request. */
export interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
}

/** The trackers, as one node sees them. */
export class TrackerClient implements TrackerPort {
  readonly #trackers: Trackers;
  readonly #node: NodeId;
  readonly #registerPath: string;

  /** A client that has asked nobody yet. */
  constructor(options: TrackerClientOptions) {
    const { node, group, credential, caCerts } = options;
    this.#node = node;
    this.#registerPath = `/v1/groups/${encodeURIComponent(group)}/register`;
    this.#trackers = new Trackers(options.trackers, {
      authorization: `Kedge-Node ${node}:${credential}`,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      caCerts,
    });
  }

  heartbeat(report: Heartbeat): Promise<HeartbeatReply> {
    const path = `/v1/nodes/${this.#node}/heartbeat`;
    const call: Call = { method: "POST", path, body: report };
    return this.#trackers.ask(call, HeartbeatReply);
  }

  register(): Promise<GroupRegister> {
    const call: Call = { method: "GET", path: this.#registerPath };
    return this.#trackers.ask(call, GroupRegister);
  }

  /** The cluster, for a FastDFS gateway. */
  fastdfsView(): Promise<FastdfsView> {
    const call: Call = { method: "GET", path: "/v1/fastdfs" };
    return this.#trackers.ask(call, FastdfsView);
  }

  changeRegister(
    gen: string,
    epoch: number,
    change: RegisterChange,
  ): Promise<RegisterAnswer> {
    const body = { gen, epoch, change };
    return changeRegister(this.#trackers, this.#registerPath, body);
  }

  /** Close kept connections. */
  close(): void {
    this.#trackers.close();
  }
}

/**
 * Become a member. May be repeated with the same store: then it is the same
 * join.
 *
 * @param trackers Base URLs; the next one is asked when one does not answer.
 * @param caCerts More certificate authorities to trust, PEM.
 * @returns The identity: it must be stored before anything else is done.
 * @throws {TrackerRefusal} When the token is not good, or the group is full.
 */
export async function joinCluster(
  trackers: readonly string[],
  body: JoinBody,
  caCerts?: readonly string[],
): Promise<JoinReply> {
  const call: Call = { method: "POST", path: "/v1/nodes/join", body };
  const asked = new Trackers(trackers, { timeoutMs: JOIN_TIMEOUT_MS, caCerts });
  try {
    return await asked.ask(call, JoinReply);
  } finally {
    asked.close();
  }
}

async function changeRegister(
  trackers: Trackers,
  path: string,
  body: { gen: string; epoch: number; change: RegisterChange },
): Promise<RegisterAnswer> {
  try {
    // Only one tracker: a second try after a lost answer would be refused.
    const register = await trackers.askOne(
      { method: "POST", path, body },
      GroupRegister,
    );
    return { outcome: "changed", register };
  } catch (error) {
    if (error instanceof TrackerRefusal && error.status === 409) {
      return { outcome: "refused", register: registerIn(error.body) };
    }
    const isRefused = error instanceof TrackerRefusal && error.status < 500;
    if (isRefused) return { outcome: "refused", register: undefined };
    const why = error instanceof Error ? error.message : String(error);
    return { outcome: "unknown", why };
  }
}

/** The register that a 409 carries, as a fact of the problem. */
function registerIn(body: unknown): GroupRegister | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const shown = "register" in body ? body.register : body;
  return GroupRegister.safeParse(shown).data;
}

/** Several trackers, of which the last good one is asked first. */
export class Trackers {
  readonly #urls: readonly string[];
  readonly #authorization: string | undefined;
  readonly #timeoutMs: number;
  readonly #client: Deno.HttpClient;
  #next = 0;

  constructor(
    urls: readonly string[],
    options: {
      readonly authorization?: string;
      readonly timeoutMs: number;
      readonly caCerts: readonly string[] | undefined;
    },
  ) {
    if (urls.length === 0) throw new RangeError("Cannot ask: no tracker given");
    this.#urls = urls.map((url) => url.replace(/\/+$/, ""));
    this.#authorization = options.authorization;
    this.#timeoutMs = options.timeoutMs;
    this.#client = Deno.createHttpClient({
      caCerts: [...options.caCerts ?? []],
      poolMaxIdlePerHost: 2,
    });
  }

  close(): void {
    this.#client.close();
  }

  /** Ask one after the other until one answers. */
  async ask<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
    let failure: unknown;
    for (let tries = 0; tries < this.#urls.length; tries++) {
      try {
        return await this.askOne(call, schema);
      } catch (error) {
        if (error instanceof TrackerRefusal && error.status < 500) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  /** Ask the one whose turn it is; the next one's turn comes if that fails. */
  async askOne<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
    const url = this.#urls[this.#next % this.#urls.length] ?? "";
    try {
      return await this.#fetch(url, call, schema);
    } catch (error) {
      const mayMove = !(error instanceof TrackerRefusal) || error.status >= 500;
      if (mayMove) this.#next++;
      throw error;
    }
  }

  async #fetch<T>(url: string, call: Call, schema: z.ZodType<T>): Promise<T> {
    const response = await fetch(url + call.path, {
      method: call.method,
      headers: {
        accept: "application/json",
        ...(call.body === undefined
          ? {}
          : { "content-type": "application/json" }),
        ...(this.#authorization === undefined
          ? {}
          : { authorization: this.#authorization }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      redirect: "error",
      client: this.#client,
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    const body = await readJson(response);
    if (!response.ok) throw new TrackerRefusal(response.status, body);
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    const at = parsed.error.issues[0]?.path.join(".") ?? "";
    throw new Error(`the tracker's answer is not valid at "${at}"`);
  }
}

/** Read a JSON body up to the limit; `undefined` when it is not JSON. */
async function readJson(response: Response): Promise<unknown> {
  let text = "";
  let sizeBytes = 0;
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > ANSWER_BYTES_MAX) {
      throw new Error("the tracker's answer is too long");
    }
    text += decoder.decode(chunk, { stream: true });
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sentenceOf(status: number, body: unknown): string {
  const detail = typeof body === "object" && body !== null && "detail" in body
    ? String(body.detail).slice(0, 300)
    : "";
  return `the tracker answered ${status}${detail === "" ? "" : `: ${detail}`}`;
}
