/**
 * Measures the FastDFS gateway against FastDFS itself: the same client program,
 * the same sizes and numbers of connections, in turn.
 *
 * ```sh
 * deno task bench:fastdfs           # about 3 minutes, writes tests/bench/FASTDFS.md
 * deno task bench:fastdfs --quick   # 30 s, prints only
 * ```
 *
 * `FASTDFS_PREFIX` names an installation of FastDFS; without it only Kedge is
 * measured.
 *
 * @module
 */

import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { startFastdfs } from "../helpers/fastdfs_stack.ts";
import { startFastdfsPeer } from "./fastdfs.ts";
import {
  fastdfsDownloader,
  type FastdfsFile,
  type FastdfsTracker,
  fastdfsUploader,
} from "./fastdfs_client.ts";
import { type KillFigures, killUnderLoad } from "./fastdfs_kill.ts";
import { fastdfsPage } from "./fastdfs_report.ts";
import { useFreshDisk } from "./fresh_disk.ts";
import { runLoad } from "./load.ts";
import { writePage } from "./page.ts";
import type { Row } from "./report.ts";

/** A system that FastDFS's clients can talk to. */
export interface FastdfsSubject {
  readonly name: string;
  readonly tracker: FastdfsTracker;
  /** Processes whose CPU time counts. */
  pids(): number[];
  /** `kill -9` one storage that comes back. */
  killOne(): Promise<void>;
}

/** Everything that was measured of one system. */
export interface SubjectFound {
  readonly name: string;
  readonly rows: Row[];
  kill: KillFigures | undefined;
}

const KB = 1000;
const FULL = {
  sizes: [5 * KB, 50 * KB, 200 * KB, 1000 * KB],
  concurrencies: [1, 8, 32, 64],
  durationMs: 1_500,
  killMs: 8_000,
};
const QUICK = {
  sizes: [5 * KB, 200 * KB],
  concurrencies: [8],
  durationMs: 1_000,
  killMs: 4_000,
};

async function measureSize(
  subject: FastdfsSubject,
  found: SubjectFound,
  sizeBytes: number,
  plan: typeof FULL,
): Promise<void> {
  const files: FastdfsFile[] = [];
  const { tracker } = subject;
  for (const concurrency of plan.concurrencies) {
    for (const what of ["upload", "download"] as const) {
      const worker = what === "upload"
        ? () => fastdfsUploader(tracker, sizeBytes, files)
        : () => fastdfsDownloader(tracker, sizeBytes, files);
      const figures = await runLoad({
        ...{ concurrency, worker, bytesPerOperation: sizeBytes },
        durationMs: plan.durationMs,
        serverPids: subject.pids(),
      });
      const size = `${sizeBytes / KB} kB`;
      found.rows.push({ what, size, level: "", concurrency, figures });
      say(
        `${subject.name} ${what} ${size} × ${concurrency}: ` +
          JSON.stringify(figures),
      );
    }
  }
}

async function kedge(scope: Scope, level: "A" | "B"): Promise<FastdfsSubject> {
  const stack = await startFastdfs(scope, { flags: ["--level", level] });
  const { agents, tracker_pid } = stack.ready;
  const pids = [tracker_pid, ...agents.map(({ pid }) => pid)];
  return {
    name: `Kedge ${level}`,
    tracker: { hostname: stack.host, port: 22122 },
    pids: () => pids,
    // The supervisor of `kedge start` brings it back.
    killOne: () => {
      const pid = agents[0]?.pid;
      if (pid !== undefined) Deno.kill(pid, "SIGKILL");
      return Promise.resolve();
    },
  };
}

async function fastdfs(scope: Scope): Promise<FastdfsSubject | undefined> {
  const prefix = Deno.env.get("FASTDFS_PREFIX");
  if (prefix === undefined) return undefined;
  return { name: "FastDFS", ...await startFastdfsPeer(scope, prefix) };
}

/** Programs that compile while they run are measured when they have. */
async function warmUp(tracker: FastdfsTracker): Promise<void> {
  const files: FastdfsFile[] = [];
  for (const sizeBytes of [5 * KB, 200 * KB]) {
    const load = {
      ...{ concurrency: 8, durationMs: 2_000, serverPids: [] },
      bytesPerOperation: sizeBytes,
    };
    await runLoad({
      ...load,
      worker: () => fastdfsUploader(tracker, sizeBytes, files),
    });
    await runLoad({
      ...load,
      worker: () => fastdfsDownloader(tracker, sizeBytes, files),
    });
    files.length = 0;
  }
}

const isQuick = Deno.args.includes("--quick");
const plan = isQuick ? QUICK : FULL;
const mode = isQuick ? "quick" : "full";
await using disk = new Scope();
const files = await useFreshDisk(disk);
await using scope = new Scope();
const peer = await fastdfs(scope);
const subjects = [
  ...peer === undefined ? [] : [peer],
  await kedge(scope, "A"),
  await kedge(scope, "B"),
];
for (const { tracker } of subjects) await warmUp(tracker);
const found = subjects.map(({ name }): SubjectFound => ({
  ...{ name, rows: [], kill: undefined },
}));
for (const sizeBytes of plan.sizes) {
  for (const [i, subject] of subjects.entries()) {
    const into = found[i];
    if (into !== undefined) await measureSize(subject, into, sizeBytes, plan);
  }
}
for (const [i, subject] of subjects.entries()) {
  const into = found[i];
  if (into === undefined) continue;
  into.kill = await killUnderLoad(subject, plan.killMs);
  say(`${subject.name} kill -9: ${JSON.stringify(into.kill)}`);
}
const page = await fastdfsPage(found, { mode, files });
if (!isQuick) {
  await writePage("FASTDFS.md", page);
}
say(page);
