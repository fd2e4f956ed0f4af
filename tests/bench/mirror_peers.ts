/**
 * QEMU's two replicated arrangements, through a script that is not part of this
 * project: `$KEDGE_TOOLS/qemu-mirror.sh` (default `../shared/tools`).
 *
 * @module
 */

import { isInstalled, run } from "../helpers/child.ts";
import type { Scope } from "../helpers/scope.ts";
import { ROOT } from "../helpers/stack.ts";
import type { NbdSubject } from "./nbd_load.ts";
import { freePort } from "./peers.ts";

/** Which arrangement: its write-blocking mirror, or its quorum of two. */
export type QemuMode = "mirror" | "quorum";

/**
 * Start one.
 *
 * @param dir Folder of the images.
 * @returns Undefined when the script, QEMU or nbdkit is missing.
 */
export async function startQemuPair(
  scope: Scope,
  mode: QemuMode,
  { dir, imageBytes }: { readonly dir: string; readonly imageBytes: number },
): Promise<NbdSubject | undefined> {
  const script = `${toolsDir()}/qemu-mirror.sh`;
  const exists = await Deno.stat(script).then(() => true, () => false);
  if (!exists || !await isInstalled("qemu-storage-daemon")) return undefined;
  if (!await isInstalled("nbdkit")) return undefined;
  const runDir = await scope.tempDir();
  const dataDir = await Deno.makeTempDir({ dir, prefix: "kedge-qemu-" });
  scope.defer(() => Deno.remove(dataDir, { recursive: true }));
  const env = {
    RUN: runDir,
    DATA: dataDir,
    SIZE: String(imageBytes),
    PORT: String(freePort()),
    RPORT: String(freePort()),
    HOSTSIDE: "unix",
    SECONDARY: "nbdkit",
  };
  scope.defer(() => run([script, "stop"], { env }));
  const { code, stdout, stderr } = await run([script, "start", mode], { env });
  if (code !== 0) throw new Error(`qemu-mirror.sh start: ${stdout}${stderr}`);
  const pids = ["local", "remote"].map((side) =>
    Number(Deno.readTextFileSync(`${runDir}/qm-${side}.pid`))
  );
  const uri = (await Deno.readTextFile(`${runDir}/qm-uri`)).trim();
  return { name: `qemu ${mode}`, uri, pids };
}

function toolsDir(): string {
  return Deno.env.get("KEDGE_TOOLS") ?? `${ROOT}../shared/tools`;
}
