/** `kedge bench`: a short load on a running cluster. */

import { randomBytes } from "node:crypto";
import { parseDuration, parseSize } from "@kedge/schema/config/units";
import { parse, wholeNumber } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import {
  filePath,
  openClient,
  type TrackerClient,
} from "./client/tracker_client.ts";
import { Uploader, type UploadSource } from "./client/uploader.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { percentile } from "./text/percentile_core.ts";
import { tableLines } from "./text/table.ts";
import { latencyText, rateText } from "./text/units.ts";

const OPTIONS = {
  size: {
    kind: "text",
    value: "SIZE",
    fallback: "4KB",
    help: "size of a file",
  },
  jobs: {
    kind: "text",
    short: "j",
    value: "N",
    fallback: "16",
    help: "requests at a time",
  },
  duration: {
    kind: "text",
    value: "TIME",
    fallback: "5s",
    help: "length of each part",
  },
  level: {
    kind: "text",
    value: "LEVEL",
    choices: ["A", "B", "C"],
    help: "level of the uploads (default: the group's)",
  },
  keep: { kind: "flag", help: "do not delete the files afterwards" },
  ...CONNECTION,
} as const;

/** Largest file of a bench: it is held in memory. */
const SIZE_BYTES_MAX = 1024 ** 3;

/** What was measured of one kind of request. */
interface Measured {
  readonly name: string;
  readonly times: number[];
  failedCount: number;
  ms: number;
}

/** See the module comment. */
export const bench: Command = {
  name: "bench",
  summary: "measure uploads and downloads",
  usage: ["bench [--size 4KB] [-j 16] [--duration 5s] [--level B]"],
  about:
    `Uploads random files, downloads them, deletes them, and prints rates and
latencies. The client needs CPU too: on one machine it takes it from the servers.`,
  options: OPTIONS,
  examples: [
    ["kedge bench", "4 KB, 16 at a time"],
    ["kedge bench --size 100MB -j 2 --level C", "large and durable"],
  ],
  exits: ["partly", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    const sizeBytes = parseSize(values.size);
    const durationMs = parseDuration(values.duration);
    if (sizeBytes === undefined || sizeBytes > SIZE_BYTES_MAX) {
      throw new UsageError("--size must be a size of at most 1GB, such as 4KB");
    }
    if (durationMs === undefined) {
      throw new UsageError("--duration must be a duration such as 5s");
    }
    const jobs = wholeNumber("--jobs", values.jobs, { min: 1, max: 1024 });
    const client = await openClient(values, context);
    const load = { context, jobs, durationMs };
    const ids: string[] = [];
    const up = await measure(
      "upload",
      load,
      uploads(client, {
        context,
        sizeBytes,
        level: values.level,
        ids,
      }),
    );
    if (ids.length === 0) {
      throw new CliError("No upload succeeded", "kedge status");
    }
    const down = await measure(
      "download",
      load,
      downloads(client, ids, context),
    );
    const gone = values.keep ? undefined : await measure(
      "delete",
      { ...load, durationMs: Infinity },
      deletes(client, ids),
    );
    const all = [up, down, ...(gone === undefined ? [] : [gone])];
    print(all, sizeBytes, { context, isJson: values.json });
    return all.some(({ failedCount }) => failedCount > 0)
      ? EXIT.partly
      : EXIT.ok;
  },
};

/** One request; false when there is nothing left to do. */
type Work = () => Promise<boolean>;

async function measure(
  name: string,
  load: { context: CommandContext; jobs: number; durationMs: number },
  work: Work,
): Promise<Measured> {
  const { context, jobs, durationMs } = load;
  const measured: Measured = { name, times: [], failedCount: 0, ms: 0 };
  const startMs = context.nowMs();
  let firstError: unknown;
  const worker = async () => {
    while (context.nowMs() - startMs < durationMs) {
      context.signal.throwIfAborted();
      const beganMs = context.nowMs();
      try {
        if (!await work()) return;
        measured.times.push(context.nowMs() - beganMs);
      } catch (error) {
        firstError ??= error;
        measured.failedCount++;
        // Whatever is wrong, asking in a tight loop makes it worse.
        await context.sleep(100, context.signal);
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  measured.ms = context.nowMs() - startMs;
  if (firstError !== undefined) {
    context.err.line(`${name}: ${messageOf(firstError)}`);
  }
  return measured;
}

function uploads(client: TrackerClient, options: {
  readonly context: CommandContext;
  readonly sizeBytes: number;
  readonly level: string | undefined;
  readonly ids: string[];
}): Work {
  const { context, sizeBytes, level, ids } = options;
  const content = new Uint8Array(randomBytes(Math.max(sizeBytes, 1)))
    .subarray(0, sizeBytes);
  const uploader = new Uploader({
    client,
    signal: context.signal,
    sleep: context.sleep,
    wallMs: () => Date.now(),
  }, {
    level,
    group: undefined,
    appender: false,
    type: undefined,
    isIdempotent: false,
    meta: {},
  });
  const source: UploadSource = {
    name: "bench.bin",
    sizeBytes,
    isRepeatable: true,
    open: () => Promise.resolve(streamOf(content)),
  };
  const watcher = { onBytes() {}, onRetry() {} };
  return async () => {
    const { id } = await uploader.upload(source, crypto.randomUUID(), watcher);
    ids.push(id);
    return true;
  };
}

function downloads(
  client: TrackerClient,
  ids: readonly string[],
  { signal }: CommandContext,
): Work {
  let next = 0;
  return async () => {
    const id = ids[next++ % ids.length] ?? "";
    const url = `${client.url}${client.contentPath(id)}`;
    const response = await client.network.fetch(url, { signal });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`status ${response.status}`);
    }
    for await (const _chunk of response.body ?? []) { /* thrown away */ }
    return true;
  };
}

function deletes(client: TrackerClient, ids: readonly string[]): Work {
  const left = [...ids];
  return async () => {
    const id = left.pop();
    if (id === undefined) return false;
    await client.done(filePath(id), { method: "DELETE" });
    return true;
  };
}

function streamOf(content: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      const step = 256 * 1024;
      for (let at = 0; at < content.length; at += step) {
        controller.enqueue(content.subarray(at, at + step));
      }
      controller.close();
    },
  });
}

function print(
  all: readonly Measured[],
  sizeBytes: number,
  { context, isJson }: { context: CommandContext; isJson: boolean },
): void {
  const results = all.map(({ name, times, failedCount, ms }) => ({
    name,
    count: times.length,
    failed: failedCount,
    perSecond: times.length * 1000 / ms,
    bytesPerSecond: name === "delete"
      ? 0
      : times.length * sizeBytes * 1000 / ms,
    p50Ms: percentile(times, 50) ?? 0,
    p99Ms: percentile(times, 99) ?? 0,
  }));
  if (isJson) {
    context.out.line(JSON.stringify({ sizeBytes, results }));
    return;
  }
  const head = ["", "COUNT›", "FAILED›", "PER S›", "RATE›", "P50›", "P99›"];
  const rows = results.map((row) => [
    row.name,
    String(row.count),
    String(row.failed),
    row.perSecond.toFixed(row.perSecond < 100 ? 1 : 0),
    row.bytesPerSecond === 0 ? "-" : rateText(row.bytesPerSecond),
    latencyText(row.p50Ms),
    latencyText(row.p99Ms),
  ]);
  context.out.line(tableLines(head, rows).join("\n"));
}
