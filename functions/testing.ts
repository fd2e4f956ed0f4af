/**
 * A tracker in memory for tests: real code, a KV in memory, a clock that stands
 * still until it is moved, and nodes that join and report.
 *
 * @module
 */

import {
  CreatedToken,
  GroupRegister,
  type Heartbeat,
  JoinReply,
} from "@kedge/schema";
import { parseTrackerConfig } from "@kedge/schema/config/tracker";
import { JoinMirrorReply } from "@kedge/schema/volume";
import type { z } from "zod";
import { createTracker } from "./app.ts";
import { openDenoKv } from "./store/deno_kv.ts";
import type { KvStore } from "./store/kv.ts";

/** Admin key of test trackers. */
export const ADMIN_KEY = "test-admin-key-0123456789-0123456789";

/** What a test may choose. */
export interface TestTrackerOptions {
  /** Environment variables. */
  readonly env?: Record<string, string>;
  /** Store, when several trackers share one; a new one in memory otherwise. */
  readonly kv?: KvStore;
}

/** How a test asks. */
export interface Ask {
  /** JSON body. */
  readonly body?: unknown;
  /** Value of `Authorization`; the admin key when missing, none when `null`. */
  readonly auth?: string | null;
  /** More headers. */
  readonly headers?: Record<string, string>;
  /** Address of the other end. */
  readonly remote?: string;
}

/** A joined node. */
export interface TestNode extends JoinReply {
  /** Its database. */
  readonly store: string;
  /** Value of its `Authorization`. */
  readonly auth: string;
}

/** A tracker in a test. */
export type TestTracker = Awaited<ReturnType<typeof testTracker>>;

/** Start a tracker. Dispose of it with `using`. */
export async function testTracker(options: TestTrackerOptions = {}) {
  const env = { KEDGE_ADMIN_KEY: ADMIN_KEY, KEDGE_REQUEST_LOG: "off" };
  const parsed = parseTrackerConfig({ ...env, ...options.env });
  if (!parsed.ok) throw new Error(parsed.mistakes.join("\n"));
  const kv = options.kv ?? await openDenoKv(":memory:");
  const clock = new TestClock();
  const log: string[] = [];
  const tracker = await createTracker({
    kv,
    config: parsed.config,
    clock,
    log: (line) => log.push(line),
  });
  const ask = async (request: string, how: Ask = {}): Promise<Response> => {
    const [method = "GET", path = "/"] = request.split(" ");
    const headers = new Headers(how.headers);
    const auth = how.auth === undefined ? `Bearer ${ADMIN_KEY}` : how.auth;
    if (auth !== null) headers.set("authorization", auth);
    const body = how.body === undefined ? null : JSON.stringify(how.body);
    return await tracker.fetch(
      new Request(`http://127.0.0.1:8080${path}`, {
        method,
        headers,
        body,
        redirect: "manual",
      }),
      how.remote === undefined ? {} : {
        remoteAddr: { transport: "tcp", hostname: how.remote, port: 9 },
      },
    );
  };
  return {
    tracker,
    kv,
    clock,
    log,
    ask,
    /** Make a token and join with it. */
    join: async (given: Partial<Heartbeat> = {}, group = "group1") => {
      const { token } = await answerOf(
        ask("POST /v1/tokens", {
          body: { kind: "join", group, createGroup: true },
        }),
        CreatedToken,
      );
      const heartbeat = heartbeatOf(given);
      const reply = await answerOf(
        ask("POST /v1/nodes/join", { body: { token, heartbeat }, auth: null }),
        JoinReply,
      );
      const auth = `Kedge-Node ${reply.node}:${reply.credential}`;
      return { ...reply, store: heartbeat.store, auth } satisfies TestNode;
    },
    /** Make a token and join with it as a host that mirrors volumes. */
    joinMirror: async (name = "alfa") => {
      const { token } = await answerOf(
        ask("POST /v1/tokens", { body: { kind: "join" } }),
        CreatedToken,
      );
      const host = crypto.randomUUID();
      const reply = await answerOf(
        ask("POST /v1/mirrors/join", {
          body: { token, host, name },
          auth: null,
        }),
        JoinMirrorReply,
      );
      const auth = `Kedge-Node ${reply.node}:${reply.credential}`;
      return { ...reply, token, host, auth };
    },
    /** Report for a node. */
    report: (node: TestNode, given: Partial<Heartbeat> = {}) =>
      ask(`POST /v1/nodes/${node.node}/heartbeat`, {
        body: heartbeatOf({ store: node.store, ...given }),
        auth: node.auth,
      }),
    /** Put a joined node into the in-sync set. */
    grow: async (node: TestNode) => {
      const path = `/v1/groups/${node.group}/register`;
      const { gen, epoch } = await answerOf(
        ask(`GET ${path}`, { auth: node.auth }),
        GroupRegister,
      );
      const change = { kind: "grow", node: node.node };
      return await ask(`POST ${path}`, {
        body: { gen, epoch, change },
        auth: node.auth,
      });
    },
    [Symbol.dispose]: () => kv.close(),
  };
}

/** A clock that a test moves. */
export class TestClock {
  /** Both clocks, in ms. */
  nowMs = 1_800_000_000_000;
  /** Monotonic. */
  monotonicMs(): number {
    return this.nowMs;
  }
  /** Wall. */
  wallMs(): number {
    return this.nowMs;
  }
}

/** A heartbeat of a healthy node with one store path of 100 GiB. */
export function heartbeatOf(given: Partial<Heartbeat> = {}): Heartbeat {
  return {
    store: crypto.randomUUID(),
    url: "http://127.0.0.1:9001",
    peerAddress: { hostname: "127.0.0.1", port: 9101 },
    storePaths: [{
      index: 0,
      totalBytes: 100 * 2 ** 30,
      freeBytes: 50 * 2 ** 30,
      state: "writable",
    }],
    head: { origin: 1, incarnation: 1, sequence: 0 },
    positions: [],
    load: 0,
    fileCount: 0,
    uploadPriority: 10,
    version: "0.1.0",
    epoch: 0,
    gen: null,
    alarms: [],
    scrub: null,
    ...given,
  };
}

/**
 * Body of an answer that must not be a refusal and must be what it should be.
 */
export async function answerOf<Schema extends z.ZodType>(
  response: Response | Promise<Response>,
  schema: Schema,
): Promise<z.output<Schema>> {
  const { ok, status, body } = await readAnswer(await response);
  if (ok) return schema.parse(body);
  throw new Error(`${status} ${JSON.stringify(body)}`);
}

/** Body of a refusal. */
export async function refusalOf(
  response: Response | Promise<Response>,
): Promise<Record<string, unknown>> {
  const { body, type } = await readAnswer(await response);
  if (type === "application/problem+json") return body;
  throw new Error(`not a refusal: ${JSON.stringify(body)}`);
}

async function readAnswer(response: Response) {
  const body: Record<string, unknown> = await response.json();
  const type = response.headers.get("content-type");
  return { ok: response.ok, status: response.status, type, body };
}
