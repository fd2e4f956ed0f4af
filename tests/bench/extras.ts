/**
 * Measurements that are no plain load: memory with many connections, the lag of
 * the second replica, HTTPS.
 *
 * @module
 */

import { ask, type Bytes } from "../helpers/api.ts";
import { eventually } from "../helpers/eventually.ts";
import { peakRssBytesOf, usageOf } from "../helpers/proc.ts";
import { RawHttp, requestBytes } from "../helpers/raw_http.ts";
import type { Scope } from "../helpers/scope.ts";
import { type Stack, startStack } from "../helpers/stack.ts";
import { type Figures, quantile, runLoad } from "./load.ts";
import { content, Subject } from "./subject.ts";

/** What many connections at once cost. */
export interface ManyConnections {
  readonly connections: number;
  readonly idleRssBytes: number;
  readonly peakRssBytes: number;
  readonly acknowledged: number;
}

/**
 * Open many connections to one agent and upload on all of them at once: first
 * half of every body, then the second.
 */
export async function uploadOnMany(
  stack: Stack,
  connections: number,
  bodyBytes: number,
): Promise<ManyConnections> {
  const agent = stack.ready.agents[0];
  if (agent === undefined) throw new Error("no agent");
  const placed = await stack.api.placeAt(agent.node, { sizeBytes: bodyBytes });
  const { pathname, search, host } = new URL(placed.url);
  const request = requestBytes("PUT", pathname + search, {
    host,
    headers: { "x-kedge-level": "B" },
    body: content(bodyBytes),
  });
  const half = request.length >> 1;
  const idleRssBytes = usageOf(agent.pid).rssBytes;
  // Forget the peak that was before ("5" resets it: proc(5)).
  await Deno.writeTextFile(`/proc/${agent.pid}/clear_refs`, "5");
  const open: RawHttp[] = [];
  try {
    for (let i = 0; i < connections; i++) {
      const raw = await RawHttp.open(agent.url);
      open.push(raw);
      await raw.send(request.subarray(0, half));
    }
    const statuses = await Promise.all(open.map(async (raw) => {
      await raw.send(request.subarray(half));
      return (await raw.answer()).status;
    }));
    return {
      connections,
      idleRssBytes,
      peakRssBytes: peakRssBytesOf(agent.pid),
      acknowledged: statuses.filter((status) => status === 201).length,
    };
  } finally {
    for (const raw of open) raw.close();
  }
}

/** Time from an acknowledgement until the second replica has its own copy. */
export interface Lag {
  readonly level: string;
  readonly samples: number;
  /** Reads at the second replica right after the answer that gave the file. */
  readonly readable: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Measure the lag for one level. */
export async function visibilityLag(
  stack: Stack,
  level: "A" | "B" | "C",
  samples: number,
): Promise<Lag> {
  const [source, replica] = stack.ready.agents;
  if (source === undefined || replica === undefined) throw new Error("no pair");
  const placed = await stack.api.placeAt(source.node);
  const listUrl = await operateUrl(stack, replica.node);
  const body: Bytes = content(4096);
  using raw = await RawHttp.open(replica.url);
  const { host } = new URL(replica.url);
  const timesMs: number[] = [];
  let readable = 0;
  for (let i = 0; i < samples; i++) {
    crypto.getRandomValues(body.subarray(0, 8));
    const { id } = await stack.api.put(placed, body, { level });
    const began = performance.now();
    listUrl.searchParams.set("prefix", id);
    const list = requestBytes("GET", listUrl.pathname + listUrl.search, {
      host,
    });
    await eventually(async () => {
      const answer = await raw.ask(list, "body");
      return new TextDecoder().decode(answer.body).includes(id);
    }, { what: "the replica to list the file", pauseMs: 0 });
    timesMs.push(performance.now() - began);
    const got = await raw.ask(requestBytes("GET", `/${id}`, { host }));
    if (got.status === 200) readable++;
  }
  timesMs.sort((a, b) => a - b);
  return {
    level,
    samples,
    readable,
    p50Ms: quantile(timesMs, 0.5),
    p99Ms: quantile(timesMs, 0.99),
  };
}

/** 4 KiB GETs on keep-alive connections, over HTTPS. */
export async function overTls(
  scope: Scope,
  durationMs: number,
): Promise<Figures | undefined> {
  const stack = await startStackWithTls(scope);
  if (stack === undefined) return undefined;
  const subject = new Subject(stack.stack, [stack.ca]);
  const load = { concurrency: 1, bytesPerOperation: 4096, serverPids: [] };
  await runLoad({
    ...load,
    durationMs: 5_000,
    operationsMax: 50,
    worker: () => subject.uploader(4096, "B", "each"),
  });
  const agent = stack.stack.ready.agents[0];
  if (agent === undefined) return undefined;
  const figures = await runLoad({
    ...load,
    durationMs,
    serverPids: subject.pids,
    worker: () => subject.downloader(4096, agent),
  });
  await stack.stack.child.stop("SIGINT");
  return figures;
}

async function startStackWithTls(
  scope: Scope,
): Promise<{ stack: Stack; ca: string } | undefined> {
  const stack = await startStack(scope, { flags: ["--tls"] });
  for await (const { name } of Deno.readDir(`${stack.data}/tls`)) {
    if (/ca.*\.(pem|crt)$/.test(name)) {
      const ca = await Deno.readTextFile(`${stack.data}/tls/${name}`);
      return { stack, ca };
    }
  }
  return undefined;
}

async function operateUrl(stack: Stack, node: number): Promise<URL> {
  const url = `${stack.ready.tracker}/v1/nodes/${node}/files?limit=1`;
  const answer = await fetch(url, {
    redirect: "manual",
    headers: { authorization: `Bearer ${stack.api.key}` },
  });
  await answer.body?.cancel();
  const location = answer.headers.get("location");
  if (location === null) {
    await ask("operate", url);
    throw new Error(`no redirect but ${answer.status}`);
  }
  return new URL(location, url);
}
