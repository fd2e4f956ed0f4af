/**
 * Whether the system itself uses a block device.
 *
 * The kernel's exclusive open would tell, but no call of ours passes its flag
 * on. What it would tell is in `/proc` and `/sys`.
 *
 * @module
 */

/**
 * Who has claimed a block device.
 *
 * @param stat Of the device node.
 * @returns A phrase for a message, or `undefined` when free or no block device.
 */
export function claimOf(
  stat: Pick<Deno.FileInfo, "isBlockDevice" | "rdev">,
): string | undefined {
  if (stat.isBlockDevice !== true || stat.rdev === null) return undefined;
  const { major, minor } = deviceNumbers(stat.rdev);
  const number = `${major}:${minor}`;
  const mount = linesOf("/proc/self/mountinfo")
    .map((line) => line.split(" "))
    .find((fields) => fields[2] === number);
  if (mount !== undefined) return `it is mounted on ${mount[4]}`;
  const holder = namesIn(`/sys/dev/block/${number}/holders`)[0];
  if (holder !== undefined) return `${holder} is built on it`;
  const isSwap = linesOf("/proc/swaps").slice(1)
    .map((line) => line.split(/\s/)[0] ?? "")
    .some((path) => rdevOf(path) === stat.rdev);
  return isSwap ? "it is swap space" : undefined;
}

/** Linux's encoding of a device number. */
function deviceNumbers(rdev: number): { major: number; minor: number } {
  const low = rdev % 2 ** 32;
  const high = Math.floor(rdev / 2 ** 32);
  return {
    major: (low >>> 8) & 0xfff | (high & 0xfffff000),
    minor: (low & 0xff) | ((low >>> 12) & 0xfff00),
  };
}

function linesOf(path: string): string[] {
  try {
    return Deno.readTextFileSync(path).split("\n").filter((l) => l !== "");
  } catch {
    return []; // Not Linux, or no such list: nothing is known to be claimed.
  }
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map((entry) => entry.name);
  } catch {
    return [];
  }
}

function rdevOf(path: string): number | null {
  try {
    return Deno.statSync(path).rdev;
  } catch {
    return null;
  }
}
