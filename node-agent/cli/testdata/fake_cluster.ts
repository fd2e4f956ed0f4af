/**
 * A tracker and two agents behind one fake `fetch`: enough of the HTTP API for
 * the commands, with faults that a test can order.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { GroupView, NodeView } from "@kedge/schema";
import type { Fetch } from "../context.ts";

/** Where the tracker of the fake cluster is. */
export const TRACKER = "http://tracker.test:8080";
const GEN = "9b2f6a0e-6a53-4a0e-9c2e-5d0c1d6f7a10";
const EMPTY = new Uint8Array();

/** One stored file. */
interface StoredFile {
  bytes: Uint8Array<ArrayBuffer>;
  name: string | null;
  meta: Record<string, string>;
}

/** A request as it arrived. */
export interface Arrived {
  readonly method: string;
  /** URL without the origin. */
  readonly path: string;
  readonly host: string;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The fake cluster. */
export class FakeCluster {
  /** Every request, in order. */
  readonly arrived: Arrived[] = [];
  /** Files by ID. */
  readonly files: Map<string, StoredFile> = new Map();
  /** IDs by Idempotency-Key. */
  readonly keys: Map<string, string> = new Map();
  /** Called before a request is handled; an answer here is given instead. */
  intercept: (request: Arrived) => Response | undefined = () => undefined;
  /** Changed by tests of the cluster commands. */
  groups: GroupView[] = [groupView()];

  /** The door. */
  readonly fetch: Fetch = async (input, init = {}) => {
    init.signal?.throwIfAborted();
    const request = new Request(
      input instanceof Request ? input : String(input),
      {
        ...init,
        signal: null,
      },
    );
    const url = new URL(request.url);
    const arrived: Arrived = {
      method: request.method,
      path: url.pathname + url.search,
      host: url.host,
      headers: request.headers,
      body: new Uint8Array(await request.arrayBuffer()),
    };
    this.arrived.push(arrived);
    const early = this.intercept(arrived);
    if (early !== undefined) return early;
    const answer = url.origin === TRACKER
      ? this.#tracker(arrived, url)
      : this.#agent(arrived, url);
    const location = answer.headers.get("location");
    const isFollowed = location !== null && init.redirect !== "manual";
    return isFollowed ? await this.fetch(location, init) : answer;
  };

  /** Store a file, as if it had been uploaded. */
  put(id: string, text: string, name: string | null = null): string {
    const bytes = new TextEncoder().encode(text);
    this.files.set(id, { bytes, name, meta: {} });
    return id;
  }

  /** Requests with this method whose path begins so. */
  seen(method: string, path: string): Arrived[] {
    return this.arrived.filter((one) =>
      one.method === method && one.path.startsWith(path)
    );
  }

  #tracker({ method, path, body }: Arrived, url: URL): Response {
    if (method === "POST" && url.pathname === "/v1/uploads") {
      return Response.json({
        url: "http://node-1.test/v1/files?cap=CAP",
        capability: "CAP",
        group: "group1",
        node: 1,
        expires: "2999-01-01T00:00:00Z",
      }, { status: 201 });
    }
    if (url.pathname === "/v1/groups" && method === "GET") {
      return Response.json({ groups: this.groups });
    }
    if (url.pathname === "/v1/groups/group1") {
      return Response.json(this.groups[0]);
    }
    if (/^\/v1\/nodes\/\d+\/(scrub|files)$/.test(url.pathname)) {
      const to = url.pathname.endsWith("scrub")
        ? "/v1/node/scrub"
        : "/v1/files";
      return redirect(`http://node-1.test${to}${withCap(url)}`);
    }
    if (url.pathname.startsWith("/v1/files/") || /\/M00\//.test(url.pathname)) {
      return redirect(`http://node-1.test${url.pathname}${withCap(url)}`);
    }
    void body;
    if (method !== "GET") return Response.json({});
    return problem(404, "not-found", `nothing at ${path}`);
  }

  #agent({ method, headers, body }: Arrived, url: URL): Response {
    const { pathname } = url;
    if (pathname === "/v1/files" && method === "GET") {
      const files = [...this.files].map(([id, file]) => info(id, file));
      return Response.json({ files, next: null });
    }
    if (method === "PUT" && /^\/v1\/files(\/[^/]*)?$/.test(pathname)) {
      return this.#store(pathname, headers, body);
    }
    const id = decodeURIComponent(
      pathname.replace(/^\/(v1\/files\/)?/, "")
        .replace(/\/(info|meta|append)$/, ""),
    );
    const file = this.files.get(id);
    if (file === undefined) {
      return problem(404, "file-not-found", "no such file");
    }
    if (pathname.endsWith("/info")) return Response.json(info(id, file));
    if (pathname.endsWith("/meta")) return changeMeta(file, method, body);
    if (pathname.endsWith("/append")) {
      file.bytes = new Uint8Array([...file.bytes, ...body]);
      return Response.json(uploaded(id, file));
    }
    if (method === "DELETE") {
      this.files.delete(id);
      return Response.json({ id, level: "B", holders: [1, 2] });
    }
    return content(file, headers);
  }

  #store(
    pathname: string,
    headers: Headers,
    body: Uint8Array<ArrayBuffer>,
  ): Response {
    const key = headers.get("idempotency-key") ?? "";
    const id = this.keys.get(key) ??
      `group1/M00/00/00/file${this.files.size + 1}.bin`;
    this.keys.set(key, id);
    const name = decodeURIComponent(pathname.split("/")[3] ?? "") || null;
    const file: StoredFile = { bytes: body, name, meta: {} };
    for (const [header, value] of headers) {
      const entry = /^x-kedge-meta-(.+)$/.exec(header)?.[1];
      if (entry !== undefined) file.meta[entry] = value;
    }
    this.files.set(id, file);
    return Response.json(uploaded(id, file), { status: 201 });
  }
}

/** A refusal as Kedge makes it. */
export function problem(
  status: number,
  slug: string,
  detail: string,
): Response {
  return new Response(
    JSON.stringify({
      type: `/problems/${slug}`,
      title: slug,
      status,
      detail,
      next: "do something else",
    }),
    { status, headers: { "content-type": "application/problem+json" } },
  );
}

/** A healthy group of two. */
export function groupView(): GroupView {
  return {
    register: {
      group: "group1",
      gen: GEN,
      epoch: 3,
      members: [{ node: 1, store: GEN }, { node: 2, store: GEN }],
      insync: [1, 2],
    },
    level: "B",
    totalBytes: 10 * 1024 ** 3,
    freeBytes: 4 * 1024 ** 3,
    writable: true,
    nodes: [nodeView(1), nodeView(2)],
  };
}

/** A healthy node. */
export function nodeView(node: number): NodeView {
  return {
    node,
    group: "group1",
    mode: "active",
    alive: true,
    insync: true,
    silentMs: 400,
    lagChanges: 0,
    lagEtaS: null,
    agreement: "same",
    report: {
      store: GEN,
      url: `http://node-${node}.test`,
      peerAddress: { hostname: "127.0.0.1", port: 9000 + node },
      storePaths: [{
        index: 0,
        totalBytes: 10 * 1024 ** 3,
        freeBytes: 4 * 1024 ** 3,
        state: "writable",
      }],
      head: { origin: node, incarnation: 1, sequence: 7 },
      positions: [],
      root: { hash: "0badcafe".repeat(4), positions: [] },
      load: 0,
      fileCount: 12,
      uploadPriority: 10,
      version: "0.1.0",
      epoch: 3,
      gen: GEN,
      alarms: [],
      scrub: null,
    },
  };
}

function redirect(url: string): Response {
  return new Response(null, { status: 307, headers: { location: url } });
}

function withCap({ search }: URL): string {
  return search === "" ? "?cap=CAP" : `${search}&cap=CAP`;
}

function info(id: string, file: StoredFile): Record<string, unknown> {
  return {
    id,
    size: file.bytes.length,
    crc32: 1,
    sha256: sha256(file.bytes),
    type: "text/plain",
    name: file.name,
    created: "2026-11-22T08:00:00.000Z",
    origin: 1,
    group: "group1",
    appender: false,
    master: null,
    version: 1,
    meta: file.meta,
  };
}

function uploaded(id: string, file: StoredFile): Record<string, unknown> {
  return {
    id,
    url: `http://node-1.test/${id}`,
    size: file.bytes.length,
    sha256: sha256(file.bytes),
    level: "B",
    holders: [1, 2],
  };
}

function content(file: StoredFile, headers: Headers): Response {
  const etag = `"${sha256(file.bytes).slice(0, 16)}"`;
  const from = /^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1];
  const isSame = headers.get("if-range") === etag;
  if (from === undefined || !isSame) {
    return new Response(file.bytes, { headers: { etag } });
  }
  const rest = file.bytes.subarray(Number(from));
  const range = `bytes ${from}-${file.bytes.length - 1}/${file.bytes.length}`;
  return new Response(rest, {
    status: 206,
    headers: { etag, "content-range": range },
  });
}

function changeMeta(
  file: StoredFile,
  method: string,
  body: Uint8Array,
): Response {
  const change = body.length === 0 ? {} : JSON.parse(
    new TextDecoder().decode(body),
  );
  if (method === "PUT") file.meta = change;
  if (method === "PATCH") Object.assign(file.meta, change);
  return Response.json(file.meta);
}

function sha256(bytes: Uint8Array = EMPTY): string {
  return createHash("sha256").update(bytes).digest("hex");
}
