/**
 * An export as a block device without the kernel's nbd driver:
 *
 * ```text
 * export's socket ◀── nbdfuse ◀── FOLDER/disk (FUSE) ◀── /dev/loopN
 * ```
 *
 * @module
 */

import { sysOf } from "./device_node_holders.ts";
import {
  becomes,
  isThere,
  namesIn,
  programPath,
  runProgram,
  textAt,
} from "./device_node_tools.ts";

/** Longest time until nbdfuse has connected and mounted, in ms. */
const MOUNT_MS = 10_000;
/** Longest time for a loop device to let go of its file, in ms. */
const LOOP_MS = 1_000;
/** Longest time for nbdfuse to end in order, in ms; then it is killed. */
const END_MS = 3_000;

/** A block device that was made of an export. */
export interface Attached {
  /** Such as `/dev/loop3`. */
  readonly block: string;
}

/** Where and from what. */
export interface FuseSource {
  /** A folder for this device alone; its name is used once. */
  readonly folder: string;
  /** NBD URI of the export. */
  readonly uri: string;
}

/**
 * Make the block device.
 *
 * @throws {Error} Naming what is missing, or what a program complained about.
 */
export async function attachFuse(source: FuseSource): Promise<Attached> {
  for (const name of ["nbdfuse", "losetup", "umount"]) programPath(name);
  needs("/dev/fuse", "fuse");
  needs("/dev/loop-control", "loop");
  await Deno.mkdir(source.folder, { recursive: true, mode: 0o700 });
  const disk = diskIn(source.folder);
  await Deno.writeTextFile(disk, "");
  try {
    await mount(source);
    return { block: await attachLoop(disk) };
  } catch (error) {
    await endFuse(source.folder);
    throw error;
  }
}

/**
 * Take the loop device away. Whoever has it open keeps it until the last close.
 *
 * @returns Whether it is gone.
 */
export async function detachLoop(
  block: string,
  folder: string,
): Promise<boolean> {
  if (!standsOn(block, folder)) return true;
  await runProgram("losetup", "--detach", block);
  return await becomes(() => !standsOn(block, folder), LOOP_MS);
}

/** Loop devices that stand on the file in this folder. */
export function loopsOn(folder: string): string[] {
  return namesIn("/sys/block").filter((name) => name.startsWith("loop"))
    .map((name) => `/dev/${name}`)
    .filter((block) => standsOn(block, folder));
}

/** Whether a loop device has a file. */
export function isAttached(block: string): boolean {
  return isThere(`${sysOf(block)}/loop/backing_file`);
}

/** Whether a loop device stands on the file in this folder, and no other's. */
export function standsOn(block: string, folder: string): boolean {
  const file = textAt(`${sysOf(block)}/loop/backing_file`).trim();
  return file === diskIn(folder);
}

/**
 * End nbdfuse and its mount, in order when it answers, by force when not:
 * whoever still uses the device then gets errors. The folder is removed.
 */
export async function endFuse(folder: string): Promise<void> {
  const pid = fusePid(folder);
  if (pid !== undefined) {
    signal(pid, "SIGTERM");
    if (!await becomes(() => fusePid(folder) === undefined, END_MS)) {
      // Killing it makes the kernel abort the FUSE connection.
      signal(pid, "SIGKILL");
      await becomes(() => fusePid(folder) === undefined, END_MS);
    }
  }
  const disk = diskIn(folder);
  if (isMounted(disk)) await runProgram("umount", "--lazy", disk);
  await Deno.remove(folder, { recursive: true }).catch(() => {});
}

/**
 * Not before FUSE has mounted the file: that would hang. Direct I/O spares a
 * second page cache, and makes writes twice as fast.
 */
async function attachLoop(disk: string): Promise<string> {
  const find = ["--find", "--show"];
  const direct = await runProgram("losetup", ...find, "--direct-io=on", disk);
  if (direct.ok) return direct.stdout;
  const made = await runProgram("losetup", ...find, disk);
  if (!made.ok) throw new Error(made.complaint);
  return made.stdout;
}

async function mount({ folder, uri }: FuseSource): Promise<void> {
  const disk = diskIn(folder);
  const log = `${folder}/log`;
  // Its complaints go to a file: a pipe would end with this process, and it
  // with the pipe. A session of its own keeps the terminal's Ctrl-C from it.
  const child = new Deno.Command("/bin/sh", {
    args: [
      ...["-c", 'exec "$@" 2>"$0"', log],
      ...[programPath("nbdfuse"), "-P", pidFileIn(folder), disk, uri],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  let isEnded = false;
  child.status.then(() => isEnded = true, () => isEnded = true);
  child.unref();
  await becomes(() => isEnded || isMounted(disk), MOUNT_MS);
  if (!isMounted(disk) || isEnded) {
    signal(child.pid, "SIGKILL");
    const said = textAt(log).trim().split("\n").at(-1) ?? "";
    throw new Error(`nbdfuse cannot use ${uri}: ${said || "no answer"}`);
  }
  await becomes(() => fusePid(folder) !== undefined, MOUNT_MS);
}

/** Whether somebody answers for the file in this folder. */
export function isServed(folder: string): boolean {
  return fusePid(folder) !== undefined;
}

/** The nbdfuse of a folder, while it runs. */
function fusePid(folder: string): number | undefined {
  const pid = Number(textAt(pidFileIn(folder)).trim());
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  // A zombie, or a stranger with the number of one that ended, has other words.
  const words = textAt(`/proc/${pid}/cmdline`).split("\0");
  return words.includes(diskIn(folder)) ? pid : undefined;
}

function isMounted(path: string): boolean {
  const place = path.replaceAll("\\", "\\134").replaceAll(" ", "\\040");
  return textAt("/proc/self/mountinfo").split("\n").some((line) =>
    line.split(" ")[4] === place && line.includes(" - fuse")
  );
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch {
    // It has ended.
  }
}

function needs(node: string, module: string): void {
  if (isThere(node)) return;
  throw new Error(
    `${node} is missing: load the kernel's module with "modprobe ${module}"` +
      ", or let the container see it",
  );
}

function diskIn(folder: string): string {
  return `${folder}/disk`;
}

function pidFileIn(folder: string): string {
  return `${folder}/nbdfuse.pid`;
}
