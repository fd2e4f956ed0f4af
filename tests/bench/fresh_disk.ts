/**
 * A file system on which nothing was deleted lately.
 *
 * For minutes after many files went, ext4 looks at each inode that it might use
 * again (`recently_deleted`): behind a run of tests that was 70 % of the CPU of
 * the thread that makes files.
 *
 * @module
 */

import { run } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import type { Scope } from "../helpers/scope.ts";

const SIZE = "24G";

/**
 * Let everything from now on make its temporary files on a new ext4, which goes
 * with the scope. What uses it belongs to a scope that ends earlier.
 *
 * @returns What to say on the page.
 */
export async function useFreshDisk(scope: Scope): Promise<string> {
  const image = await Deno.makeTempFile({ dir: "/var/tmp" });
  scope.defer(() => Deno.remove(image));
  const dir = await Deno.makeTempDir({ dir: "/var/tmp" });
  scope.defer(() => Deno.remove(dir));
  try {
    await must(["truncate", "--size", SIZE, image]);
    await must(["mkfs.ext4", "-q", image]);
    // Past the cache of the file below: a flush is one of these files only.
    const device = await must([
      ...["losetup", "--find", "--show", "--direct-io=on", image] as const,
    ]);
    scope.defer(() => run(["losetup", "--detach", device]));
    // No thread of the kernel that fills in tables of inodes meanwhile.
    await must(["mount", "--options", "noinit_itable", device, dir]);
    // A process that was killed lets go of its files a moment later.
    scope.defer(() =>
      eventually(async () => (await run(["umount", dir])).code === 0, {
        what: `${dir} to be let go of`,
      })
    );
  } catch (error) {
    return `files: where other programs work, too (${error})`;
  }
  const before = Deno.env.get("TMPDIR");
  Deno.env.set("TMPDIR", dir);
  scope.defer(() =>
    before === undefined
      ? Deno.env.delete("TMPDIR")
      : Deno.env.set("TMPDIR", before)
  );
  return "files: on a new ext4 in an image of that disk";
}

/** Its output. */
async function must(command: [string, ...string[]]): Promise<string> {
  const { code, stdout, stderr } = await run(command);
  if (code !== 0) throw new Error(`${command[0]}: ${stderr.trim()}`);
  return stdout.trim();
}
