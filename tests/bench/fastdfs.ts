/**
 * FastDFS beside us: one tracker and a group of two storages, from an
 * installation that `FASTDFS_PREFIX` names.
 *
 * @module
 */

import { Child } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { say } from "../helpers/say.ts";
import { markedProcesses, type Scope } from "../helpers/scope.ts";
import { loopbackAddress } from "../helpers/stack.ts";
import {
  fastdfsDownloader,
  type FastdfsFile,
  type FastdfsTracker,
  fastdfsUploader,
  storageStatuses,
} from "./fastdfs_client.ts";
import { type Figures, runLoad } from "./load.ts";
import { type Fact, round, type Row } from "./report.ts";

/** What FastDFS reached in this run. */
export interface FastdfsFigures {
  readonly rows: readonly Row[];
  readonly uploadUs: number;
  readonly downloadUs: number;
  readonly uploadsPerS: number;
  readonly facts: readonly Fact[];
}

const ACTIVE = 7;
const SIZE_BYTES = 4096;

/** Start it, measure it, or say in `absent` why not. */
export async function measureFastdfs(
  scope: Scope,
  durationMs: number,
  absent: string[],
): Promise<FastdfsFigures | undefined> {
  const prefix = Deno.env.get("FASTDFS_PREFIX");
  if (prefix === undefined) {
    absent.push("FastDFS (FASTDFS_PREFIX is not set)");
    return undefined;
  }
  try {
    const { tracker, pids } = await startFastdfsPeer(scope, prefix);
    return await measure(tracker, pids(), durationMs);
  } catch (error) {
    absent.push(`FastDFS (${error})`);
    return undefined;
  }
}

async function measure(
  tracker: FastdfsTracker,
  serverPids: readonly number[],
  durationMs: number,
): Promise<FastdfsFigures> {
  const rows: Row[] = [];
  const files: FastdfsFile[] = [];
  const row = async (
    what: string,
    concurrency: number,
    worker: () => Promise<() => Promise<boolean | void>>,
  ): Promise<Figures> => {
    const figures = await runLoad({
      ...{ concurrency, durationMs, serverPids, worker },
      bytesPerOperation: SIZE_BYTES,
    });
    rows.push({ what, size: "4 KiB", level: "", concurrency, figures });
    say(`${what} × ${concurrency}: ${JSON.stringify(figures)}`);
    return figures;
  };
  const ups: Figures[] = [];
  const downs: Figures[] = [];
  for (const concurrency of [1, 16, 64]) {
    ups.push(
      await row(
        "upload, FastDFS",
        concurrency,
        () => fastdfsUploader(tracker, SIZE_BYTES, files),
      ),
    );
    downs.push(
      await row(
        "download, FastDFS",
        concurrency,
        () => fastdfsDownloader(tracker, SIZE_BYTES, files),
      ),
    );
  }
  const least = (figures: Figures[]) =>
    Math.min(...figures.map((f) => f.cpuUsPerOperation));
  const uploadsPerS = Math.max(...ups.map((f) => f.perS));
  return {
    ...{ rows, uploadsPerS },
    uploadUs: least(ups),
    downloadUs: least(downs),
    facts: [{
      what: "FastDFS, same run, two replicas, no flush",
      value: `${round(uploadsPerS)} uploads/s of 4 KiB, ${
        round(least(ups))
      } µs CPU per upload, ${round(least(downs))} µs per download`,
    }],
  };
}

/** A running FastDFS: one tracker, one group of two storages. */
export interface FastdfsPeer {
  readonly tracker: FastdfsTracker;
  /** Processes of the servers that run now. */
  pids(): number[];
  /** `kill -9` one storage, and start it again. */
  killOne(): Promise<void>;
}

/**
 * Start FastDFS and wait until both storages are active.
 *
 * @param prefix An installation, as `FASTDFS_PREFIX` names it.
 */
export async function startFastdfsPeer(
  scope: Scope,
  prefix: string,
): Promise<FastdfsPeer> {
  const before = new Set(markedProcesses(scope.mark));
  const dir = await scope.tempDir();
  const bin = await binaries(prefix);
  // FastDFS refuses 127.0.0.1 but takes other addresses of 127/8.
  const net = loopbackAddress().split(".").slice(0, 3).join(".");
  const tracker = { hostname: `${net}.2`, port: 22122 };
  await folder(`${dir}/tracker`);
  await Deno.writeTextFile(`${dir}/tracker.conf`, trackerConf(dir, tracker));
  run(scope, `${bin}/fdfs_trackerd`, `${dir}/tracker.conf`);
  const confs: string[] = [];
  for (const index of [1, 2]) {
    await folder(`${dir}/storage${index}`);
    const conf = `${dir}/storage${index}.conf`;
    const address = `${net}.${10 + index}`;
    await Deno.writeTextFile(
      conf,
      storageConf(`${dir}/storage${index}`, address, tracker),
    );
    run(scope, `${bin}/fdfs_storaged`, conf);
    confs.push(conf);
  }
  const active = () =>
    eventually(async () => {
      const statuses = await storageStatuses(tracker);
      return statuses.length === 2 && statuses.every((s) => s === ACTIVE);
    }, { what: "FastDFS to be active", deadlineMs: 120_000, pauseMs: 500 });
  await active();
  // Others of the same scope may have been started since.
  const pids = () =>
    markedProcesses(scope.mark).filter((pid) =>
      !before.has(pid) && commandOf(pid).includes(dir)
    );
  const killOne = async () => {
    const conf = confs[0] ?? "";
    for (const pid of pids()) {
      if (commandOf(pid).includes(conf)) Deno.kill(pid, "SIGKILL");
    }
    await eventually(
      () => !pids().some((pid) => commandOf(pid).includes(conf)),
      {
        what: "the killed storage to be gone",
      },
    );
    run(scope, `${bin}/fdfs_storaged`, conf);
    await active();
  };
  return { tracker, pids, killOne };
}

function commandOf(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`);
  } catch {
    return "";
  }
}

function run(scope: Scope, program: string, conf: string): void {
  Child.start(scope, {
    command: [program, conf],
    env: { LD_LIBRARY_PATH: Deno.env.get("LD_LIBRARY_PATH") ?? "" },
  });
}

async function binaries(prefix: string): Promise<string> {
  for (const dir of ["bin", "usr/bin", "usr/local/bin", ""]) {
    const path = `${prefix}/${dir}`;
    const there = await Deno.stat(`${path}/fdfs_trackerd`).catch(() => null);
    if (there !== null) return path;
  }
  throw new Error(`no fdfs_trackerd below ${prefix}`);
}

async function folder(path: string): Promise<void> {
  await Deno.mkdir(`${path}/data`, { recursive: true });
  await Deno.mkdir(`${path}/logs`, { recursive: true });
}

function trackerConf(dir: string, tracker: FastdfsTracker): string {
  return `bind_addr = ${tracker.hostname}
port = ${tracker.port}
base_path = ${dir}/tracker
max_connections = 1024
work_threads = 2
store_lookup = 0
store_server = 0
store_path = 0
download_server = 0
reserved_storage_space = 1GB
allow_hosts = *
use_trunk_file = false
`;
}

/** Each step from new to active waits for a heartbeat: 30 s, as it comes, twice. */
function storageConf(
  dir: string,
  address: string,
  tracker: FastdfsTracker,
): string {
  return `group_name = group1
bind_addr = ${address}
client_bind = true
thread_stack_size = 512KB
port = 23000
base_path = ${dir}
store_path_count = 1
store_path0 = ${dir}
subdir_count_per_path = 16
tracker_server = ${tracker.hostname}:${tracker.port}
max_connections = 1024
work_threads = 2
disk_rw_separated = true
disk_reader_threads = 1
disk_writer_threads = 1
sync_binlog_buff_interval = 1
heart_beat_interval = 5
stat_report_interval = 60
allow_hosts = *
log_level = info
`;
}
