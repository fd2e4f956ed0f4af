/**
 * What `kedge start` keeps in its data directory.
 *
 * ```text
 * DATA/cluster.json      the plan: nodes, groups, ports
 * DATA/start.lock        locked while it runs; holds the process number
 * DATA/running.json      process numbers now; gone after a clean stop
 * DATA/admin.key         key with the role operator (0600)
 * DATA/fastdfs-client.conf  for FastDFS's clients, with --fastdfs
 * DATA/tls/              local authority and server certificate, with --tls
 * DATA/tracker/kv.db     the shared KV store
 * DATA/node-N/           one agent: identity, database, store/
 * DATA/log/NAME.log      what each program said
 * ```
 *
 * @module
 */

import { join } from "node:path";

/** Paths below one data directory. */
export interface Layout {
  readonly data: string;
  readonly cluster: string;
  readonly lock: string;
  readonly running: string;
  readonly adminKey: string;
  readonly fastdfsConf: string;
  readonly tls: string;
  readonly tracker: string;
  readonly kv: string;
  readonly logs: string;
  /** Folder of one agent. */
  node(index: number): string;
  /** Log of one program. */
  log(name: string): string;
}

/** The paths of a data directory. */
export function layoutOf(data: string): Layout {
  return {
    data,
    cluster: join(data, "cluster.json"),
    lock: join(data, "start.lock"),
    running: join(data, "running.json"),
    adminKey: join(data, "admin.key"),
    fastdfsConf: join(data, "fastdfs-client.conf"),
    tls: join(data, "tls"),
    tracker: join(data, "tracker"),
    kv: join(data, "tracker", "kv.db"),
    logs: join(data, "log"),
    node: (index) => join(data, `node-${index}`),
    log: (name) => join(data, "log", `${name}.log`),
  };
}

/** Make the folders that every start needs. */
export async function makeFolders(layout: Layout): Promise<void> {
  for (const path of [layout.data, layout.tracker, layout.logs]) {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  }
}

/**
 * Write a small file so that a crash leaves the old or the new one, whole.
 *
 * @param mode Permissions; 0600 for secrets.
 */
export async function writeWhole(
  path: string,
  text: string,
  mode: number,
): Promise<void> {
  const temporary = `${path}.tmp`;
  await Deno.remove(temporary).catch(() => {});
  const file = await Deno.open(temporary, {
    write: true,
    createNew: true,
    mode,
  });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) {
      done += await file.write(bytes.subarray(done));
    }
    await file.sync();
  } finally {
    file.close();
  }
  await Deno.rename(temporary, path);
}
