/** What `kedge start` asks of its own tracker. */

import { z } from "zod";
import { CreatedToken, GroupList, type GroupView } from "@kedge/schema";
import type { Fetch } from "../context.ts";

/** How long one question may take, in milliseconds. */
const ASK_TIMEOUT_MS = 5000;

/** What is read of `GET /v1/node`. */
const Serving = z.object({
  servesReads: z.boolean(),
  takesChanges: z.boolean(),
});

/** The tracker as an operator sees it. */
export class Operator {
  readonly #fetch: Fetch;
  readonly #url: string;
  readonly #key: string;

  /**
   * @param fetch Trusts the certificate of the tracker.
   * @param url Base URL of the tracker.
   * @param key Admin key.
   */
  constructor(fetch: Fetch, url: string, key: string) {
    this.#fetch = fetch;
    this.#url = url;
    this.#key = key;
  }

  /** Whether the tracker answers. */
  async isUp(): Promise<boolean> {
    try {
      const response = await this.#ask("GET", "/health");
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }

  /** Every group. */
  async groups(): Promise<GroupView[]> {
    const response = await this.#ask("GET", "/v1/groups");
    const list = GroupList.safeParse(await this.#json(response));
    if (list.success) return list.data.groups;
    const { path = [], message = "" } = list.error.issues[0] ?? {};
    throw new Error(
      `its answer to GET /v1/groups is not understood (${
        path.join(".")
      }: ${message})`,
    );
  }

  /** Create a group; one that exists is left as it is. */
  async createGroup(name: string, level: string | undefined): Promise<void> {
    const settings = level === undefined ? {} : { level };
    const response = await this.#ask("POST", "/v1/groups", { name, settings });
    if (response.status === 409) return void await response.body?.cancel();
    await this.#json(response);
  }

  /** Set the level of a group. */
  async setLevel(name: string, level: string): Promise<void> {
    await this.#json(
      await this.#ask("PATCH", `/v1/groups/${name}`, { level }),
    );
  }

  /** A one-time token for a node of this group. */
  async joinToken(group: string): Promise<string> {
    const body = { kind: "join", group, expiresS: 3600 };
    const response = await this.#ask("POST", "/v1/tokens", body);
    return CreatedToken.parse(await this.#json(response)).token;
  }

  /** Declare a node in sync, whatever the others have. */
  async force(group: string, node: number): Promise<void> {
    await this.#json(
      await this.#ask("POST", `/v1/groups/${group}/force`, { node }),
    );
  }

  /** Let a node accept a KV store that is another than it knew. */
  async confirm(node: number): Promise<void> {
    await this.#json(await this.#ask("POST", `/v1/nodes/${node}/confirm`));
  }

  /** Whether an upload to this group would be placed now. */
  async canPlace(group: string): Promise<boolean> {
    const response = await this.#ask("POST", "/v1/uploads", {
      group,
      sizeBytes: 1,
    });
    await response.body?.cancel();
    return response.ok;
  }

  /** Whether an agent says that it serves reads and takes changes. */
  async isServing(agentUrl: string): Promise<boolean> {
    const response = await this.#fetch(`${agentUrl}/v1/node`, {
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    const facts = Serving.safeParse(await response.json());
    return facts.success && facts.data.servesReads && facts.data.takesChanges;
  }

  #ask(method: string, path: string, body?: unknown): Promise<Response> {
    return this.#fetch(`${this.#url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
  }

  async #json(response: Response): Promise<unknown> {
    const value = await response.json();
    if (response.ok) return value;
    const detail = Object(value).detail ?? `status ${response.status}`;
    throw new Error(`The tracker refused: ${detail}`);
  }
}
