/**
 * A real FastDFS of one tracker and one storage, from the installation that
 * `FASTDFS_PREFIX` names.
 *
 * @module
 */

import { Child, type Finished, run } from "./child.ts";
import { eventually } from "./eventually.ts";
import { markedProcesses, type Scope } from "./scope.ts";
import { loopbackAddress } from "./stack.ts";

/** What to start. */
export interface FastdfsServerOptions {
  /** Installation. */
  readonly prefix: string;
  /** Folder of the configuration and of the tracker. */
  readonly dir: string;
  /** `base_path` first, which is `store_path0` too. */
  readonly storePaths: readonly string[];
  readonly useTrunkFile: boolean;
}

/** A running FastDFS. */
export class FastdfsServer {
  /** A configuration file for its clients. */
  readonly conf: string;
  readonly #prefix: string;
  readonly #pids: readonly number[];

  private constructor(prefix: string, conf: string, pids: readonly number[]) {
    this.#prefix = prefix;
    this.conf = conf;
    this.#pids = pids;
  }

  /** Start it and wait until it takes uploads. */
  static async start(
    scope: Scope,
    { prefix, dir, storePaths, useTrunkFile }: FastdfsServerOptions,
  ): Promise<FastdfsServer> {
    const before = new Set(markedProcesses(scope.mark));
    const net = loopbackAddress().split(".").slice(0, 3).join(".");
    const tracker = `${net}.2`;
    for (const path of [`${dir}/tracker`, ...storePaths]) {
      await Deno.mkdir(`${path}/data`, { recursive: true });
      await Deno.mkdir(`${path}/logs`, { recursive: true });
    }
    const conf = `${dir}/client.conf`;
    const texts = {
      tracker: trackerConf(`${dir}/tracker`, tracker, useTrunkFile),
      storage: storageConf(storePaths, `${net}.11`, tracker),
      client: clientConf(dir, tracker),
    };
    for (const [name, text] of Object.entries(texts)) {
      await Deno.writeTextFile(`${dir}/${name}.conf`, text);
    }
    for (const name of ["tracker", "storage"]) {
      Child.start(scope, {
        command: [`${prefix}/usr/bin/fdfs_${name}d`, `${dir}/${name}.conf`],
        env: libraries(prefix),
      });
    }
    await Deno.writeTextFile(`${dir}/probe`, "probe");
    const pids = () =>
      markedProcesses(scope.mark).filter((pid) => !before.has(pid));
    await eventually(async () => {
      const words = [conf, `${dir}/probe`];
      const { code, stderr } = await fastdfsTool(
        prefix,
        "fdfs_upload_file",
        words,
      );
      if (code !== 0) throw new Error(stderr);
      return true;
    }, { what: "FastDFS to be active", deadlineMs: 90_000, pauseMs: 500 });
    return new FastdfsServer(prefix, conf, pids());
  }

  /** Run a tool that must succeed; gives its output. */
  async tool(name: string, ...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await fastdfsTool(
      this.#prefix,
      name,
      [this.conf, ...words],
    );
    if (code === 0) return stdout.trim();
    throw new Error(`${name} ${words.join(" ")}: ${stdout}${stderr}`);
  }

  /** Stop it as an operator does. */
  async stop(): Promise<void> {
    for (const pid of this.#pids) {
      try {
        Deno.kill(pid, "SIGTERM");
      } catch {
        // It ended by itself.
      }
    }
    await eventually(() => this.#pids.every(hasEnded), {
      what: "FastDFS to end",
      deadlineMs: 30_000,
    });
  }
}

/** Run a tool of FastDFS. */
export async function fastdfsTool(
  prefix: string,
  name: string,
  words: readonly string[],
): Promise<Finished> {
  const program = `${prefix}/usr/bin/${name}`;
  return await run(["timeout", "60", program, ...words], {
    env: libraries(prefix),
  });
}

function libraries(prefix: string): Record<string, string> {
  return { LD_LIBRARY_PATH: `${prefix}/usr/lib64:${prefix}/usr/lib` };
}

function hasEnded(pid: number): boolean {
  try {
    return / Z /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return true;
  }
}

function trackerConf(
  base: string,
  address: string,
  useTrunkFile: boolean,
): string {
  return `bind_addr = ${address}
port = 22122
base_path = ${base}
max_connections = 256
store_lookup = 0
store_server = 0
store_path = 0
download_server = 0
reserved_storage_space = 1GB
allow_hosts = *
use_trunk_file = ${useTrunkFile}
slot_min_size = 256
slot_max_size = 64KB
trunk_alloc_alignment_size = 256
trunk_file_size = 4MB
`;
}

function storageConf(
  storePaths: readonly string[],
  address: string,
  tracker: string,
): string {
  const paths = storePaths.map((path, at) => `store_path${at} = ${path}`);
  return `group_name = group1
bind_addr = ${address}
client_bind = true
thread_stack_size = 512KB
port = 23000
base_path = ${storePaths[0]}
store_path_count = ${storePaths.length}
${paths.join("\n")}
subdir_count_per_path = 4
tracker_server = ${tracker}:22122
max_connections = 256
sync_binlog_buff_interval = 1
heart_beat_interval = 5
stat_report_interval = 60
allow_hosts = *
`;
}

function clientConf(dir: string, tracker: string): string {
  return `connect_timeout = 5
network_timeout = 30
base_path = ${dir}
tracker_server = ${tracker}:22122
`;
}
