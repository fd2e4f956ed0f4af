/**
 * Kedge's HTTP API as the tests use it: one method per row of
 * `docs/protocols.md`, refusals as {@linkcode Refused}.
 *
 * @module
 */

import type {
  FileInfo,
  GroupView,
  Level,
  NodeView,
  PlacedUpload,
  PlaceUpload,
  Uploaded,
} from "@kedge/schema";

/** Body type that `fetch` takes again after a redirect. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Longest wait for one answer, in milliseconds. */
const ANSWER_MS = 30_000;

/** An answer that is not 2xx. */
export class Refused extends Error {
  /** Remember what was answered. */
  constructor(
    what: string,
    readonly status: number,
    readonly body: string,
  ) {
    super(`${what}: ${status} ${body.slice(0, 400)}`);
  }

  /** Slug of the problem type, "" when the body is no problem. */
  get slug(): string {
    try {
      const { type } = JSON.parse(this.body) as { type?: string };
      return type?.replace(/^.*\/problems\//, "") ?? "";
    } catch {
      return "";
    }
  }
}

/** What an upload may ask for. */
export interface UploadOptions {
  readonly name?: string;
  readonly level?: Level;
  readonly appender?: boolean;
  readonly idempotencyKey?: string;
  readonly headers?: Record<string, string>;
  readonly timeoutMs?: number;
}

/** A client of one tracker. */
export class Api {
  /**
   * Talk to a tracker.
   *
   * @param tracker Its base URL.
   * @param key API key, where the tracker asks for one.
   */
  constructor(readonly tracker: string, readonly key?: string) {}

  /** Upload through the tracker's redirect. */
  async upload(body: Bytes, options: UploadOptions = {}): Promise<Uploaded> {
    const name = encodeURIComponent(options.name ?? "file.bin");
    const query = uploadQuery(options);
    return await this.#json("upload", `/v1/files/${name}${query}`, {
      method: "PUT",
      body,
      headers: uploadHeaders(options),
      ...timeout(options.timeoutMs),
    });
  }

  /** Ask for a place. */
  place(body: PlaceUpload = {}): Promise<PlacedUpload> {
    return this.#json("place", "/v1/uploads", post(body));
  }

  /** Ask until the place is at a certain node. */
  async placeAt(node: number, body: PlaceUpload = {}): Promise<PlacedUpload> {
    for (let attempt = 0; attempt < 50; attempt++) {
      const placed = await this.place(body);
      if (placed.node === node) return placed;
    }
    throw new Error(`50 places and none at node ${node}`);
  }

  /** Upload to a place. */
  async put(
    placed: PlacedUpload,
    body: Bytes,
    options: UploadOptions = {},
  ): Promise<Uploaded> {
    const url = new URL(placed.url);
    if (options.name !== undefined && !url.pathname.endsWith(options.name)) {
      url.pathname = `/v1/files/${encodeURIComponent(options.name)}`;
    }
    if (options.level !== undefined) {
      url.searchParams.set("level", options.level);
    }
    if (options.appender) url.searchParams.set("appender", "1");
    return await ask("put", url, {
      method: "PUT",
      body,
      headers: uploadHeaders(options),
      ...timeout(options.timeoutMs),
    });
  }

  /** Upload to a certain node. */
  async uploadAt(
    node: number,
    body: Bytes,
    options: UploadOptions = {},
  ): Promise<Uploaded> {
    const placed = await this.placeAt(node, {
      ...(options.appender ? { appender: true } : {}),
      ...(options.name === undefined ? {} : { name: options.name }),
    });
    return await this.put(placed, body, options);
  }

  /** What a file is, asked at `base` (tracker or agent). */
  info(id: string, base: string = this.tracker): Promise<FileInfo> {
    return ask("info", `${base}/v1/files/${id}/info`, timeout());
  }

  /** Delete a file. */
  remove(
    id: string,
    how: "sync" | "eventual" = "sync",
  ): Promise<{ id: string; level: Level; holders: number[] }> {
    return this.#json("delete", `/v1/files/${id}?delete=${how}`, {
      method: "DELETE",
    });
  }

  /** Append to an appender file. */
  append(id: string, body: Bytes): Promise<Uploaded> {
    return this.#json("append", `/v1/files/${id}/append`, {
      method: "POST",
      body,
    });
  }

  /** Overwrite a part of an appender file. */
  modify(id: string, offset: number, body: Bytes): Promise<Uploaded> {
    return this.#json("modify", `/v1/files/${id}/content?offset=${offset}`, {
      method: "PUT",
      body,
    });
  }

  /** Cut or extend an appender file. */
  truncate(id: string, size: number): Promise<Uploaded> {
    return this.#json("truncate", `/v1/files/${id}/truncate?size=${size}`, {
      method: "POST",
    });
  }

  /** Overwrite (`PUT`) or merge (`PATCH`) metadata. */
  async setMeta(
    id: string,
    meta: Record<string, string>,
    method: "PUT" | "PATCH" = "PUT",
  ): Promise<void> {
    const what = `${this.tracker}/v1/files/${id}/meta`;
    const answer = await this.#fetch(what, {
      method,
      body: JSON.stringify(meta),
      headers: { "content-type": "application/json" },
    });
    await expectOk("meta", answer);
    await answer.body?.cancel();
  }

  /** Read metadata. */
  meta(
    id: string,
    base: string = this.tracker,
  ): Promise<Record<string, string>> {
    return ask("meta", `${base}/v1/files/${id}/meta`, timeout());
  }

  /** Make a derived ("slave") file. */
  derive(
    id: string,
    prefix: string,
    body: Bytes,
    ext = "",
  ): Promise<Uploaded> {
    const query = new URLSearchParams({ prefix, ...(ext ? { ext } : {}) });
    return this.#json("derive", `/v1/files/${id}/derived?${query}`, {
      method: "POST",
      body,
    });
  }

  /** Every group. */
  async groups(): Promise<GroupView[]> {
    const answer = await this.#json<GroupView[] | { groups: GroupView[] }>(
      "groups",
      "/v1/groups",
      {},
    );
    return Array.isArray(answer) ? answer : answer.groups;
  }

  /** One group. */
  group(name = "group1"): Promise<GroupView> {
    return this.#json("group", `/v1/groups/${name}`, {});
  }

  /** Every node. */
  async nodes(): Promise<NodeView[]> {
    const answer = await this.#json<NodeView[] | { nodes: NodeView[] }>(
      "nodes",
      "/v1/nodes",
      {},
    );
    return Array.isArray(answer) ? answer : answer.nodes;
  }

  /** Every file that a node lists, in ID order. */
  async list(node: number, prefix?: string): Promise<FileInfo[]> {
    const files: FileInfo[] = [];
    let after: string | undefined;
    while (true) {
      const query = new URLSearchParams({ limit: "1000" });
      if (prefix !== undefined) query.set("prefix", prefix);
      if (after !== undefined) query.set("after", after);
      const page = await this.#json<
        { files: FileInfo[]; next?: string | null }
      >(
        "list",
        `/v1/nodes/${node}/files?${query}`,
        {},
      );
      files.push(...page.files);
      if (!page.next) return files;
      after = page.next;
    }
  }

  /** Anything else, at the tracker. */
  call<T>(method: string, path: string, body?: unknown): Promise<T> {
    return this.#json(`${method} ${path}`, path, {
      method,
      ...(body === undefined ? {} : {
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    });
  }

  #json<T>(what: string, path: string, init: RequestInit): Promise<T> {
    const headers = new Headers(init.headers);
    if (this.key) headers.set("authorization", `Bearer ${this.key}`);
    return ask(what, this.tracker + path, { ...timeout(), ...init, headers });
  }

  #fetch(url: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.key) headers.set("authorization", `Bearer ${this.key}`);
    return fetch(url, { ...timeout(), ...init, headers });
  }
}

/**
 * Fetch JSON.
 *
 * @throws {Refused} When the answer is not 2xx.
 */
export async function ask<T>(
  what: string,
  url: string | URL,
  init: RequestInit = {},
): Promise<T> {
  const answer = await fetch(url, init);
  await expectOk(what, answer);
  return await answer.json();
}

/**
 * The whole content of a file.
 *
 * @param base Base URL of a tracker or an agent.
 * @throws {Refused} When the answer is not 2xx.
 */
export async function readFile(base: string, id: string): Promise<Bytes> {
  const answer = await fetch(`${base}/${id}`, timeout());
  await expectOk(`read ${id} at ${base}`, answer);
  return await answer.bytes();
}

/** Status of reading a file; the body is thrown away. */
export async function readStatus(base: string, id: string): Promise<number> {
  const answer = await fetch(`${base}/${id}`, timeout());
  await answer.body?.cancel();
  return answer.status;
}

/** SHA-256 of bytes, in hex. */
export async function sha256(bytes: Bytes): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

async function expectOk(what: string, answer: Response): Promise<void> {
  if (answer.ok) return;
  throw new Refused(what, answer.status, await answer.text());
}

function uploadQuery(options: UploadOptions): string {
  const query = new URLSearchParams();
  if (options.level !== undefined) query.set("level", options.level);
  if (options.appender) query.set("appender", "1");
  return query.size > 0 ? `?${query}` : "";
}

function uploadHeaders(options: UploadOptions): Record<string, string> {
  return {
    "content-type": "application/octet-stream",
    ...(options.level === undefined ? {} : { "x-kedge-level": options.level }),
    ...(options.idempotencyKey === undefined
      ? {}
      : { "idempotency-key": options.idempotencyKey }),
    ...options.headers,
  };
}

function timeout(ms: number = ANSWER_MS): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(ms) };
}

function post(body: unknown): RequestInit {
  return {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  };
}
