/**
 * Folders and disks for the tests of faults.
 *
 * @module
 */

/** Run in a folder that is removed afterwards. */
export async function inTemp(
  act: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-rig-" });
  try {
    await act(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A file system of a few MiB, or undefined where none can be mounted. */
export async function smallDisk(
  dir: string,
  size: string,
): Promise<AsyncDisposable | undefined> {
  await Deno.mkdir(dir, { recursive: true });
  try {
    const { success } = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir],
      stderr: "null",
    }).output();
    if (!success) return undefined;
  } catch {
    return undefined;
  }
  return {
    async [Symbol.asyncDispose]() {
      await new Deno.Command("umount", { args: [dir] }).output();
    },
  };
}
