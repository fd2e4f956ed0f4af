/**
 * The agent's HTTP door over fake ports, and short ways to ask it.
 *
 * @module
 */

import type { Uploaded } from "@kedge/schema";
import type { CapabilityClaims } from "@kedge/schema/capability";
import { createAgentApp } from "../../node-agent/http/agent_app.ts";
import type { AgentApp } from "../../node-agent/http/agent_app.ts";
import type { HttpLimits } from "../../node-agent/http/deps.ts";
import type { LinkRules } from "../../node-agent/http/read/link_gate.ts";
import { GROUP } from "./fake_files.ts";
import { FakeNode } from "./fake_ports.ts";
import type { FakeGroupOptions } from "./fake_replicator.ts";

/** Base URL of the door. */
export const BASE = "http://node1.test";

/** What a test says about a request. */
export interface Ask {
  readonly method?: string;
  /** Claims of the capability; none is sent when missing. */
  readonly cap?: Partial<CapabilityClaims> | undefined;
  readonly headers?: Record<string, string>;
  /** Address of the other end; not known when missing. */
  readonly from?: string;
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
}

/** A node with its door. */
export class FakeDoor extends FakeNode {
  /** The door. */
  readonly app: AgentApp;
  /** What was told to the log. */
  readonly warnings: string[] = [];

  /** Build a door. */
  constructor(
    options: FakeGroupOptions & {
      limits?: Partial<HttpLimits>;
      links?: LinkRules;
      fetchPeer?: (url: string, init: RequestInit) => Promise<Response>;
    } = {},
  ) {
    super(options);
    this.app = createAgentApp({
      node: this.node,
      group: GROUP,
      url: () => BASE,
      files: this.files,
      replicator: this.replicator,
      clock: this.clock,
      log: {
        info() {},
        warn: (message, facts) => {
          this.warnings.push(`${message} ${JSON.stringify(facts)}`);
        },
      },
      admin: {
        status: () => ({ node: this.node, group: GROUP }),
        startScrub: () => ({ running: true }),
        scrubProgress: () => ({ running: false }),
        openPath: (index) => ({ index, refillFiles: 0 }),
        confirm: () => ({ confirmed: true }),
        migration: { start: () => ({}), view: () => null, stop: () => ({}) },
      },
      limits: options.limits,
      links: options.links,
      fetchPeer: options.fetchPeer,
    });
  }

  /**
   * Ask the door.
   *
   * @param path Path and query, sent as they are.
   */
  async ask(path: string, ask: Ask = {}): Promise<Response> {
    const headers = new Headers(ask.headers);
    if (ask.cap !== undefined) {
      headers.set("authorization", `Kedge ${this.capability(ask.cap)}`);
    }
    const body = typeof ask.body === "string"
      ? new TextEncoder().encode(ask.body)
      : ask.body;
    const length = body instanceof Uint8Array ? body.length : undefined;
    if (length !== undefined && !headers.has("content-length")) {
      headers.set("content-length", String(length));
    }
    const request = new Request(BASE, {
      method: ask.method ?? "GET",
      headers,
      body: body ?? null,
    });
    // A Request normalises its URL; a server does not.
    Object.defineProperty(request, "url", { value: BASE + path });
    return await this.app.fetch(request, { address: () => ask.from ?? "" });
  }

  /** Upload, and fail unless it worked. */
  async upload(
    body: string | Uint8Array<ArrayBuffer>,
    path = "/v1/files",
    ask: Ask = {},
  ): Promise<Uploaded> {
    const put = { method: "PUT", cap: {}, ...ask, body };
    const response = await this.ask(path, put);
    if (response.status !== 201) throw new Error(await response.text());
    return await response.json();
  }
}

/** What a refusal is about: its slug. */
export async function slugOf(response: Response): Promise<string> {
  const type = response.headers.get("content-type");
  if (type !== "application/problem+json") {
    throw new Error(`no problem: ${response.status} ${await response.text()}`);
  }
  const problem = await response.json();
  return String(problem.type).replace("/problems/", "");
}
