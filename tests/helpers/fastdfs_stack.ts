/**
 * A `kedge start --fastdfs` on addresses of its own, for FastDFS's clients.
 *
 * @module
 */

import type { Scope } from "./scope.ts";
import { loopbackAddress, type Stack, startStack } from "./stack.ts";

/** A running cluster that FastDFS's clients find. */
export interface FastdfsStack extends Stack {
  /** Address of the tracker side; its port is 22122. */
  readonly host: string;
  /** A configuration file for clients written in C. */
  readonly conf: string;
  /** Address of the storage side of an agent, from 1; its port is 23000. */
  storage(index: number): string;
}

/** Start one group of two agents. */
export async function startFastdfs(
  scope: Scope,
  options: {
    readonly flags?: readonly string[];
    readonly env?: Record<string, string>;
  } = {},
): Promise<FastdfsStack> {
  // The agents have the addresses behind this one.
  const base = loopbackAddress().replace(/\.\d+$/, "");
  const host = `${base}.1`;
  const stack = await startStack(scope, {
    flags: ["--fastdfs-listen", host, ...options.flags ?? []],
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  return {
    ...stack,
    host,
    conf: `${stack.data}/fastdfs-client.conf`,
    storage: (index) => `${base}.${1 + index}`,
  };
}
