/**
 * Servers of one plain file over NBD: ours and its peers, each a process.
 *
 * @module
 */

import { Child, isInstalled, run } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import type { Scope } from "../helpers/scope.ts";
import { ROOT } from "../helpers/stack.ts";
import type { NbdSubject } from "./nbd_load.ts";
import { freePort } from "./peers.ts";

/** Starts a server of `image`; undefined when it is not installed. */
export type StartServer = (
  scope: Scope,
  image: string,
) => Promise<NbdSubject | undefined>;

/** Our export with a plain file behind it. */
export const startOurs: StartServer = async (scope, image) => {
  const child = Child.start(scope, {
    command: [
      Deno.execPath(),
      ...["run", "-A", "--quiet", `${ROOT}tests/helpers/nbd_file_server.ts`],
      `disk=${image}`,
    ],
  });
  const { tcp } = JSON.parse(await child.line(/"tcp"/)) as { tcp: number };
  const uri = `nbd://127.0.0.1:${tcp}/disk`;
  return { name: "kedge", uri, pids: [child.pid] };
};

/** nbdkit's file plugin. */
export const startNbdkit: StartServer = (scope, image) =>
  startForeign(scope, "nbdkit", (port) => [
    ...["nbdkit", "-f", "-i", "127.0.0.1", "-p", String(port)],
    ...["file", image],
  ]);

/** QEMU's server. */
export const startQemuNbd: StartServer = (scope, image) =>
  startForeign(scope, "qemu-nbd", (port) => [
    ...["qemu-nbd", "-f", "raw", "-b", "127.0.0.1", "-p", String(port)],
    ...["-t", "-e", "16", "--cache=writeback", image],
  ]);

async function startForeign(
  scope: Scope,
  name: string,
  command: (port: number) => string[],
): Promise<NbdSubject | undefined> {
  if (!await isInstalled(name)) return undefined;
  const port = freePort();
  const [program = name, ...args] = command(port);
  const { pid } = Child.start(scope, { command: [program, ...args] });
  const uri = `nbd://127.0.0.1:${port}/`;
  await eventually(
    async () => (await run(["nbdinfo", "--size", uri])).code === 0,
    { what: `${name} to serve` },
  );
  return { name, uri, pids: [pid] };
}
