/**
 * The systems that `bench:fastdfs` starts one after the other.
 *
 * @module
 */

import { startFastdfs } from "../helpers/fastdfs_stack.ts";
import type { Scope } from "../helpers/scope.ts";
import { startFastdfsPeer } from "./fastdfs.ts";
import type { FastdfsTracker } from "./fastdfs_client.ts";
import type { SystemName } from "./fastdfs_plan.ts";

/** A running system. */
export interface FastdfsSubject {
  readonly tracker: FastdfsTracker;
  /** Processes whose CPU time counts. */
  pids(): number[];
  /** `kill -9` one storage that comes back. */
  killOne(): Promise<void>;
}

/** Where FastDFS is installed, if anywhere. */
export function fastdfsPrefix(): string | undefined {
  return Deno.env.get("FASTDFS_PREFIX");
}

/** Start a system: a tracker and one group of two storages. */
export async function startSystem(
  scope: Scope,
  name: SystemName,
): Promise<FastdfsSubject> {
  if (name !== "FastDFS") return await kedge(scope, name.slice(-1));
  const prefix = fastdfsPrefix();
  if (prefix === undefined) throw new Error("FASTDFS_PREFIX is not set");
  return await startFastdfsPeer(scope, prefix);
}

async function kedge(scope: Scope, level: string): Promise<FastdfsSubject> {
  const stack = await startFastdfs(scope, { flags: ["--level", level] });
  const { agents, tracker_pid } = stack.ready;
  const pids = [tracker_pid, ...agents.map(({ pid }) => pid)];
  return {
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
