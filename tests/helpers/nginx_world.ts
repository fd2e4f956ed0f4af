/**
 * Ways to ask an nginx in front of a cluster, and the agents behind it.
 *
 * @module
 */

import type { Nginx } from "./nginx.ts";
import type { Stack } from "./stack.ts";

/** An answer, read to its end. */
export interface Got {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

/** Ways to ask nginx and agents. */
export class World {
  /** URLs of the agents. */
  readonly agents: string[];

  /** Of a cluster and the nginx in front. */
  constructor(readonly stack: Stack, readonly nginx: Nginx) {
    this.agents = stack.ready.agents.map(({ url }) => url);
  }

  /** Ask; the path has no slash in front. */
  async get(
    path: string,
    init: RequestInit & { readonly base?: string | undefined } = {},
  ): Promise<Got> {
    const { base = this.nginx.url, ...rest } = init;
    const response = await fetch(`${base}/${path}`, rest);
    const { status, headers } = response;
    return { status, headers, bytes: await response.bytes() };
  }

  /** Ask the first agent itself. */
  async fromAgent(path: string): Promise<Got> {
    return await this.get(path, { base: this.agents[0] });
  }

  /** A request line that no browser would send. */
  async raw(
    line: string,
    { base = this.nginx.url, headers = {} }: {
      readonly base?: string;
      readonly headers?: Record<string, string>;
    } = {},
  ): Promise<{ status: number; text: string }> {
    const { hostname, port } = new URL(base);
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const all = { host: "x", connection: "close", ...headers };
    const lines = Object.entries(all).map(([name, value]) =>
      `${name}: ${value}`
    );
    const request = [line, ...lines, "", ""].join("\r\n");
    await connection.write(new TextEncoder().encode(request));
    const text = await new Response(connection.readable).text();
    return { status: Number(text.split(" ")[1]), text };
  }

  /** Who sends a file: nginx's own tags are time and length. */
  async servedBy(id: string): Promise<"disk" | "agent"> {
    return this.senderOf(await this.get(id));
  }

  /** Who sent an answer. */
  senderOf({ headers }: Got): "disk" | "agent" {
    const tag = headers.get("etag") ?? "";
    return /^"[0-9a-f]+-[0-9a-f]+"$/.test(tag) ? "disk" : "agent";
  }

  /** Where a node has a file. */
  pathOf(node: number, id: string): string {
    const place = id.split("/").slice(2).join("/");
    return `${this.stack.data}/node-${node}/store/data/${place}`;
  }

  /** Let a copy rot. */
  async spoil(node: number, id: string): Promise<void> {
    const bytes = await Deno.readFile(this.pathOf(node, id));
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    await Deno.writeFile(this.pathOf(node, id), bytes);
  }
}

/** Headers that are the same from the disk and from an agent. */
export const SAME_HEADERS: readonly string[] = [
  "content-type",
  "content-length",
  "cache-control",
  "last-modified",
  "accept-ranges",
  "x-content-type-options",
  "content-security-policy",
  "access-control-allow-origin",
  "access-control-expose-headers",
];
