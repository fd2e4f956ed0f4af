/**
 * File systems on our export, through two foreign clients: `mount.sh` makes one,
 * fills it, unmounts, mounts it again over a new connection and compares.
 */

import assert from "node:assert/strict";
import { isInstalled, run } from "../helpers/child.ts";
import { startNbdProcess } from "../helpers/nbd_process.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { ROOT } from "../helpers/stack.ts";

const MIB = 1024 * 1024;
const TOOLS = Deno.env.get("KEDGE_TOOLS") ?? `${ROOT}../shared/tools`;
const SCRIPT = `${TOOLS}/mount.sh`;

const ROUNDS = [
  { client: "nbdfuse", fs: "xfs", needs: ["nbdfuse", "mkfs.xfs"] },
  { client: "nbdfuse", fs: "ext4", needs: ["nbdfuse", "mkfs.ext4"] },
  { client: "qsd", fs: "xfs", needs: ["qemu-storage-daemon", "mkfs.xfs"] },
  { client: "qsd", fs: "ext4", needs: ["qemu-storage-daemon", "mkfs.ext4"] },
] as const;

async function lacking(needs: readonly string[]): Promise<string | undefined> {
  if (!await exists(SCRIPT)) return `${SCRIPT} (set KEDGE_TOOLS)`;
  if (Deno.uid() !== 0) return "root";
  if (!await exists("/dev/fuse")) return "/dev/fuse";
  for (const program of [...needs, "losetup", "fusermount3"]) {
    if (!await isInstalled(program)) return program;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

for (const { client, fs, needs } of ROUNDS) {
  const lack = await lacking(needs);
  const name = `${fs} on our export, through ${client}`;
  if (lack !== undefined) say(`nbd_mount_test: skipped "${name}": no ${lack}`);
  Deno.test({
    name,
    ignore: lack !== undefined,
    async fn() {
      await using scope = new Scope();
      const server = await startNbdProcess(scope, { sizeBytes: 400 * MIB });
      const dir = await scope.tempDir();
      const mount = () =>
        run(
          [
            ...["timeout", "120", "bash", SCRIPT, "test"] as const,
            ...["-f", fs, "-V", client, "-T", server.uri()],
          ],
          { env: { RUN: `${dir}/run`, DATA: `${dir}/data`, TMPDIR: dir } },
        );
      let { stdout, stderr } = await mount();
      // loop over FUSE may deadlock in mkfs before a request reaches anybody.
      if (/step=mkfs/.test(stdout)) ({ stdout, stderr } = await mount());
      assert.match(stdout, /RESULT PASS/, `${stdout}${stderr}`);
    },
  });
}
