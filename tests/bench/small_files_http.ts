/**
 * Many small files in a group of two agents and a tracker, over HTTP, by a
 * client that keeps its connections busy.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { eventually } from "../helpers/eventually.ts";
import { cpuUsOf, usageOf } from "../helpers/proc.ts";
import { Scope } from "../helpers/scope.ts";
import { type ReadyAgent, type Stack, startStack } from "../helpers/stack.ts";
import { diskUse, MIB } from "./disk_use.ts";
import { runLoad } from "./load.ts";
import { AT_ONCE, FILE_BYTES } from "./small_files_store.ts";
import { Subject } from "./subject.ts";

/** Downloads that are measured. */
const DOWNLOADS = 20_000;
const WARM_UP_COUNT = 2_000;
/** Longest load, and longest wait for what follows it. */
const LONG_MS = 3_600_000;
/** Agents keep a body in the database this long at least; see `store.ts`. */
const LOOK_MS = 250;

/** What was found for one way to keep files. */
export interface HttpFigures {
  readonly uploadsPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly uploadCpuUs: number;
  readonly settledCpuUs: number;
  readonly settleS: number;
  readonly storeMib: number;
  readonly storeNames: number;
  readonly databaseMib: number;
  readonly downloadsPerS: number;
  readonly downloadCpuUs: number;
  readonly restartMs: number;
  readonly startedMib: number;
  readonly scrubS: number;
  readonly scrubCpuS: number;
  readonly scrubbedMib: number;
}

/** Fill a new group, start it again, scrub it. */
export async function measureHttp(
  count: number,
  smallFileMax: number,
): Promise<HttpFigures> {
  await using scope = new Scope();
  const data = `${await scope.tempDir()}/kedge-data`;
  const env = {
    KEDGE_SCRUB_BANDWIDTH: "0",
    KEDGE_SCRUB_INTERVAL: "0",
    // A busy machine must not put a member out of the set.
    KEDGE_ACK_TIMEOUT: "60s",
  };
  const stack = await startStack(scope, { data, env });
  await pack(stack, smallFileMax);
  const subject = new Subject(stack);
  await load(subject, "warm up", WARM_UP_COUNT);
  const node = nodeDir(stack, 0);
  const cpuUs = cpuUsOf(subject.pids);
  const upload = await load(subject, "upload", count);
  const settleS = await untilSettled(stack);
  const settledUs = (cpuUsOf(subject.pids) - cpuUs) / count;
  const download = await load(subject, "download", DOWNLOADS);
  await stack.child.stop("SIGINT");
  const disk = await diskUse(`${node}/store`);
  const { bytes } = await diskUse(node);

  const startMs = performance.now();
  const again = await startStack(scope, { data, env });
  const restartMs = performance.now() - startMs;
  const agent = firstAgent(again);
  const startedMib = usageOf(agent.pid).rssBytes / MIB;
  const scrubbed = await scrub(again, agent);
  const scrubbedMib = usageOf(agent.pid).rssBytes / MIB;
  await again.child.stop("SIGINT");
  return {
    uploadsPerS: upload.perS,
    p50Ms: upload.p50Ms,
    p99Ms: upload.p99Ms,
    uploadCpuUs: upload.cpuUsPerOperation,
    settledCpuUs: settledUs,
    settleS,
    storeMib: disk.bytes / MIB,
    storeNames: disk.names,
    databaseMib: (bytes - disk.bytes) / MIB,
    downloadsPerS: download.perS,
    downloadCpuUs: download.cpuUsPerOperation,
    restartMs,
    startedMib,
    ...scrubbed,
    scrubbedMib,
  };
}

/** Turn packing on in the group, and wait until its members follow. */
async function pack(stack: Stack, smallFileMax: number): Promise<void> {
  const { api, ready } = stack;
  const answer = await fetch(`${ready.tracker}/v1/groups/group1`, {
    method: "PATCH",
    headers: {
      authorization: `Bearer ${api.key ?? ""}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ smallFileMax }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  await answer.body?.cancel();
}

async function load(subject: Subject, what: string, operations: number) {
  const { agents, tracker_pid: trackerPid } = subject.stack.ready;
  const figures = await runLoad({
    concurrency: AT_ONCE,
    durationMs: LONG_MS,
    operationsMax: operations,
    bytesPerOperation: FILE_BYTES,
    serverPids: subject.pids,
    trackerPid,
    worker: (index) => {
      const agent = agents[index % agents.length];
      return what === "download" && agent !== undefined
        ? subject.downloader(FILE_BYTES, agent)
        : subject.uploader(FILE_BYTES, "C", "each");
    },
  });
  if (figures.failures === 0) return figures;
  throw new Error(`${figures.failures} × ${what}: ${figures.firstFailure}`);
}

/** Until no node has an action left. Returns how long that took, in seconds. */
async function untilSettled(stack: Stack): Promise<number> {
  const startMs = performance.now();
  for (const at of stack.ready.agents.keys()) {
    const database = new DatabaseSync(`${nodeDir(stack, at)}/kedge.db`, {
      readOnly: true,
    });
    try {
      const left = database
        .prepare("SELECT 1 FROM unsettled LIMIT 1");
      await eventually(() => left.get() === undefined, {
        what: "everything to settle",
        deadlineMs: LONG_MS,
        pauseMs: LOOK_MS,
      });
    } finally {
      database.close();
    }
  }
  return (performance.now() - startMs) / 1000;
}

async function scrub({ ready, api }: Stack, { node, pid }: ReadyAgent) {
  const url = `${ready.tracker}/v1/nodes/${node}/scrub`;
  const ask = async (method: string) => {
    const headers = { authorization: `Bearer ${api.key ?? ""}` };
    const answer = await fetch(url, { method, headers });
    if (!answer.ok) throw new Error(await answer.text());
    return await answer.json() as { running: boolean; damaged: number } | null;
  };
  const cpuUs = usageOf(pid).cpuUs;
  const startMs = performance.now();
  await ask("POST");
  let last: { damaged: number } | undefined;
  await eventually(async () => {
    const now = await ask("GET");
    last = now ?? last;
    return now !== null && !now.running;
  }, { what: "the scrub", deadlineMs: LONG_MS, pauseMs: LOOK_MS });
  if (last?.damaged !== 0) throw new Error("the scrub found damage");
  return {
    scrubS: (performance.now() - startMs) / 1000,
    scrubCpuS: (usageOf(pid).cpuUs - cpuUs) / 1e6,
  };
}

function firstAgent({ ready }: Stack): ReadyAgent {
  const [agent] = ready.agents;
  if (agent === undefined) throw new Error("no agent");
  return agent;
}

/** Folder of an agent below the data of `kedge start`. */
function nodeDir({ data, ready }: Stack, at: number): string {
  return `${data}/node-${ready.agents[at]?.node ?? 0}`;
}
