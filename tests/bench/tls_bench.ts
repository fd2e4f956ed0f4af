/**
 * Which HTTPS server answers small requests without a stall: 4 KiB over
 * keep-alive connections, for each candidate in a process of its own.
 *
 * ```sh
 * deno run -A tests/bench/tls_bench.ts
 * ```
 *
 * The result and the choice are in docs/decisions/0002-tls-server.md.
 *
 * @module
 */

import { once } from "node:events";
import { createServer } from "node:https";
import { serveTls } from "../../node-agent/adapters/http_server_tls.ts";
import { makeLocalTls } from "../../node-agent/cli/start/local_tls.ts";
import { cpuUsOf } from "../helpers/proc.ts";
import { RawHttp } from "../helpers/raw_http.ts";

const BODY_BYTES = 4096;
const LARGE_BYTES = 128 * 1024 * 1024;
const SEQUENTIAL = 300;
const CONNECTIONS = 16;
const PER_CONNECTION = 100;

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Starts a candidate; resolves with its port. */
type Candidate = (tls: Certificate) => Promise<number>;

const body = new Uint8Array(BODY_BYTES).fill(65);
const piece = new Uint8Array(64 * 1024).fill(66);

/** A small answer, or at `/large` a stream there and back. */
async function handle(request: Request): Promise<Response> {
  if (!request.url.endsWith("/large")) {
    return new Response(body, { headers: { "content-length": "4096" } });
  }
  for await (const _ of request.body ?? []);
  if (request.method === "PUT") return new Response("{}");
  let left = LARGE_BYTES / piece.length;
  const stream = new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(piece);
      else controller.close();
    },
  });
  const headers = { "content-length": String(LARGE_BYTES) };
  return new Response(stream, { headers });
}

const CANDIDATES: Record<string, Candidate> = {
  "plain Deno.serve (no TLS)": () => Promise.resolve(plain()),
  "Deno.serve with cert": (tls) => Promise.resolve(plain(tls)),
  "node:https": nodeHttps,
  "node:tls before Deno.serve (ours)": async (tls) => {
    const where = { hostname: "127.0.0.1", port: 0, graceMs: 0 };
    return (await serveTls(handle, { ...where, ...tls })).port;
  },
};

function plain(tls: Certificate | Record<never, never> = {}): number {
  const where = { hostname: "127.0.0.1", port: 0, onListen() {} };
  return Deno.serve({ ...where, ...tls }, handle).addr.port;
}

/** Answers without a `Request`: less than a bridge to `fetch` would cost. */
async function nodeHttps(tls: Certificate): Promise<number> {
  const server = createServer(tls, async (request, response) => {
    for await (const _ of request);
    if (request.method === "PUT") {
      response.writeHead(200, { "content-length": 2 }).end("{}");
    } else if (request.url === "/large") {
      response.writeHead(200, { "content-length": LARGE_BYTES });
      for (let left = LARGE_BYTES; left > 0; left -= piece.length) {
        if (!response.write(piece)) await once(response, "drain");
      }
      response.end();
    } else {
      response.writeHead(200, { "content-length": BODY_BYTES }).end(body);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}

interface Row {
  readonly name: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly getMbPerSecond: number;
  readonly putMbPerSecond: number;
}

async function measure(name: string, files: string[]): Promise<Row> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", import.meta.filename ?? "", name, ...files],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    const first = await child.stdout.getReader().read();
    const port = new TextDecoder().decode(first.value).trim();
    const scheme = name.includes("no TLS") ? "http" : "https";
    const ca = await Deno.readTextFile(files[2] ?? "");
    return await load(name, child.pid, {
      base: `${scheme}://127.0.0.1:${port}`,
      ca,
    });
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
}

async function load(
  name: string,
  pid: number,
  { base, ca }: { base: string; ca: string },
): Promise<Row> {
  const request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
  const times: number[] = [];
  using one = await RawHttp.open(base, [ca]);
  await one.ask(request);
  for (let count = 0; count < SEQUENTIAL; count++) {
    const startMs = performance.now();
    await one.ask(request);
    times.push(performance.now() - startMs);
  }
  times.sort((a, b) => a - b);
  const cpuBefore = cpuUsOf([pid]);
  const startMs = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    using connection = await RawHttp.open(base, [ca]);
    for (let count = 0; count < PER_CONNECTION; count++) {
      await connection.ask(request);
    }
  }));
  const total = CONNECTIONS * PER_CONNECTION;
  const perSecond = total / (performance.now() - startMs) * 1000;
  const cpu = (cpuUsOf([pid]) - cpuBefore) / total;
  const get = await rate(() => one.ask(request.replace("/ ", "/large ")));
  const put = await rate(() => putLarge(one));
  return {
    name,
    getMbPerSecond: get,
    putMbPerSecond: put,
    p50Ms: times[Math.floor(SEQUENTIAL / 2)] ?? NaN,
    p99Ms: times[Math.floor(SEQUENTIAL * 0.99)] ?? NaN,
    perSecond,
    cpuUs: cpu,
  };
}

async function putLarge(connection: RawHttp): Promise<void> {
  await connection.send(
    `PUT /large HTTP/1.1\r\nhost: x\r\ncontent-length: ${LARGE_BYTES}\r\n\r\n`,
  );
  for (let sent = 0; sent < LARGE_BYTES; sent += piece.length) {
    await connection.send(piece);
  }
  await connection.answer("length");
}

async function rate(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return LARGE_BYTES / 1e3 / (performance.now() - startMs);
}

function print(rows: readonly Row[]): void {
  const lines = rows.map((row) =>
    [
      row.name.padEnd(34),
      row.p50Ms.toFixed(2).padStart(9),
      row.p99Ms.toFixed(2).padStart(9),
      row.perSecond.toFixed(0).padStart(9),
      row.cpuUs.toFixed(0).padStart(9),
      row.getMbPerSecond.toFixed(0).padStart(9),
      row.putMbPerSecond.toFixed(0).padStart(9),
    ].join(" ")
  );
  const head = `${"4 KiB GET, keep-alive".padEnd(34)}    p50 ms    p99 ms` +
    `     c16/s  cpu µs/r  GET MB/s  PUT MB/s`;
  const text = [head, ...lines, ""].join("\n");
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

async function main(): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-tls-" });
  try {
    const { certFile, keyFile, caFile } = await makeLocalTls(dir, []);
    const files = [certFile, keyFile, caFile ?? ""];
    const rows: Row[] = [];
    for (const name of Object.keys(CANDIDATES)) {
      rows.push(await measure(name, files));
    }
    print(rows);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function serveCandidate(name: string, files: string[]): Promise<void> {
  const [cert = "", key = ""] = await Promise.all(
    files.slice(0, 2).map((file) => Deno.readTextFile(file)),
  );
  const port = await CANDIDATES[name]?.({ cert, key });
  Deno.stdout.writeSync(new TextEncoder().encode(`${port}\n`));
}

if (import.meta.main) {
  const [name, ...files] = Deno.args;
  if (name === undefined) await main();
  else await serveCandidate(name, files);
}
