/**
 * Power loss: a disk whose every write and flush is recorded, and the images
 * that a power loss at any moment may leave. nbdkit keeps the record, nbdfuse
 * and a loop device make a real file system of it.
 *
 * An image at a cut holds everything before the last flush, and of what was
 * written after it any subset, torn at 512 bytes.
 *
 * @module
 */

import { eventually } from "../helpers/eventually.ts";
import { Random } from "../helpers/random.ts";
import type { Scope } from "../helpers/scope.ts";

const SECTOR_BYTES = 512;
const HEAD_BYTES = 17;

/** A kind of file system on a recorded disk. */
export interface FileSystemKind {
  readonly make: readonly [string, ...string[]];
  readonly mountOptions: string;
  /** Nothing mounts it with a torn superblock, whatever its journal has. */
  readonly superblock: { readonly from: number; readonly end: number };
}

/** Those that the rigs know. */
export const FILE_SYSTEMS = {
  ext4: {
    make: ["mkfs.ext4", "-q", "-E", "nodiscard"],
    mountOptions: "defaults",
    superblock: { from: 0, end: 4096 },
  },
  xfs: {
    make: ["mkfs.xfs", "-q", "-K"],
    mountOptions: "nouuid",
    superblock: { from: 0, end: 4096 },
  },
  btrfs: {
    make: ["mkfs.btrfs", "-q", "-K"],
    mountOptions: "defaults",
    superblock: { from: 64 << 10, end: 68 << 10 },
  },
} as const satisfies Record<string, FileSystemKind>;

/** One entry of a record. */
export interface Entry {
  readonly isFlush: boolean;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Length of the log once this was in it. */
  readonly end: number;
}

/** Run a program; its output when it succeeded. */
export async function sh(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args })
    .output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout).trim();
  throw new Error(`${command} ${args.join(" ")}: ${decoder.decode(stderr)}`);
}

/** Whether this machine has everything the rig needs. */
export async function canRecord(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  try {
    await Deno.stat("/dev/fuse");
    await Deno.stat("/dev/loop-control");
    await sh("nbdkit", "python", "--dump-plugin");
    await sh("nbdfuse", "--version");
    await sh("mkfs.ext4", "-V");
    return true;
  } catch {
    return false;
  }
}

/** A mounted file system on a recorded disk. */
export class RecordedDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly mount: string;
  /** The record. */
  readonly log: string;
  readonly #undo: (() => Promise<unknown>)[] = [];
  readonly #sizeBytes: number;
  readonly #kind: FileSystemKind;

  private constructor(dir: string, sizeBytes: number, kind: FileSystemKind) {
    this.mount = `${dir}/disk`;
    this.log = `${dir}/log`;
    this.#sizeBytes = sizeBytes;
    this.#kind = kind;
  }

  /** Make one in a new folder in memory; both go with the scope. */
  static async within(
    scope: Scope,
    sizeBytes: number,
    kind: FileSystemKind = FILE_SYSTEMS.ext4,
  ): Promise<{ readonly dir: string; readonly disk: RecordedDisk }> {
    const dir = await Deno.makeTempDir({
      dir: "/dev/shm",
      prefix: "kedge-power-",
    });
    scope.defer(() => Deno.remove(dir, { recursive: true }));
    const disk = await RecordedDisk.open(dir, sizeBytes, kind);
    scope.defer(() => disk[Symbol.asyncDispose]());
    return { dir, disk };
  }

  /** Make one below `dir`, which should lie in memory. */
  static async open(
    dir: string,
    sizeBytes: number,
    kind: FileSystemKind = FILE_SYSTEMS.ext4,
  ): Promise<RecordedDisk> {
    const disk = new RecordedDisk(dir, sizeBytes, kind);
    try {
      await disk.#start(dir);
      return disk;
    } catch (error) {
      await disk[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #start(dir: string): Promise<void> {
    const file = await Deno.open(`${dir}/image`, { write: true, create: true });
    await file.truncate(this.#sizeBytes);
    file.close();
    await Deno.writeFile(this.log, new Uint8Array(0));
    await Deno.writeFile(`${dir}/device`, new Uint8Array(0));
    await Deno.mkdir(this.mount);
    const plugin = new URL("./power_recorder.py", import.meta.url).pathname;
    this.#spawn("nbdkit", "-f", "-U", `${dir}/socket`, "python", plugin)(
      `image=${dir}/image`,
      `log=${this.log}`,
    );
    await eventually(() => Deno.stat(`${dir}/socket`), { what: "nbdkit" });
    const uri = `nbd+unix:///?socket=${dir}/socket`;
    this.#spawn("nbdfuse", `${dir}/device`)(uri);
    await eventually(
      async () => (await Deno.stat(`${dir}/device`)).size === this.#sizeBytes,
      { what: "nbdfuse" },
    );
    // Lazily, as below: name spaces made meanwhile may still hold the mount.
    this.#undo.push(() => sh("fusermount3", "-u", "-z", `${dir}/device`));
    const loop = await sh("losetup", "-f", "--show", `${dir}/device`);
    this.#undo.push(() => sh("losetup", "-d", loop));
    const [command, ...args] = this.#kind.make;
    await sh(command, ...args, loop);
    await sh("mount", "-o", this.#kind.mountOptions, loop, this.mount);
    this.#undo.push(() => sh("umount", this.mount));
  }

  #spawn(command: string, ...args: string[]) {
    return (...more: string[]) => {
      const child = new Deno.Command(command, {
        args: [...args, ...more],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      this.#undo.push(async () => {
        try {
          child.kill("SIGTERM");
        } catch {
          // It ended by itself.
        }
        await child.status;
      });
    };
  }

  /** Length of the record so far: a moment that can be compared with cuts. */
  position(): number {
    return Deno.statSync(this.log).size;
  }

  /**
   * Images at random cuts, in the order of time.
   *
   * @param count How many.
   * @param fromPosition No cut before this moment.
   * @returns The image file and the moment of its cut. Each is a file of its
   * own, removed afterwards: a mount that somebody's name space still holds must
   * not write into the next image.
   */
  async *images(
    count: number,
    options: { fromPosition: number; seed: number; into: string },
  ): AsyncGenerator<{ image: string; position: number }> {
    const random = new Random(options.seed);
    const entries = await readRecord(this.log);
    const first = entries.findIndex(({ end }) => end > options.fromPosition);
    const cuts = Array.from(
      { length: count },
      () => random.between(first, entries.length),
    ).sort((a, b) => a - b);
    const durable = new Uint8Array(this.#sizeBytes);
    let applied = 0;
    for (const [number, cut] of cuts.entries()) {
      const into = `${options.into}-${number}`;
      const before = entries.slice(0, cut);
      const flushed = before.findLastIndex(({ isFlush }) => isFlush) + 1;
      for (; applied < flushed; applied++) {
        const { bytes, offset } = entries[applied] ?? NOTHING;
        durable.set(bytes, offset);
      }
      const image = durable.slice();
      for (const entry of entries.slice(flushed, cut)) {
        if (random.next() >= 0.5) continue;
        const { from, end } = this.#kind.superblock;
        const isWhole = entry.offset >= from && entry.offset < end;
        if (isWhole) image.set(entry.bytes, entry.offset);
        else tear(image, entry, random);
      }
      await Deno.writeFile(into, image);
      const position = entries[cut - 1]?.end ?? 0;
      try {
        yield { image: into, position };
      } finally {
        await Deno.remove(into);
      }
    }
  }

  /** Unmount and stop everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const undo of this.#undo.reverse()) {
      await eventually(async () => (await undo(), true), {
        what: "the recorded disk to stop",
        deadlineMs: 5000,
      });
    }
    this.#undo.length = 0;
  }
}

/** Read the record that `power_recorder.py` keeps. */
export async function readRecord(log: string): Promise<Entry[]> {
  const bytes = await Deno.readFile(log);
  const view = new DataView(bytes.buffer);
  const entries: Entry[] = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.length;) {
    const isFlush = view.getUint8(at) === 2;
    const offset = Number(view.getBigUint64(at + 1, true));
    const length = Number(view.getBigUint64(at + 9, true));
    at += HEAD_BYTES;
    const content = bytes.subarray(at, at + length);
    at += length;
    entries.push({ isFlush, offset, bytes: content, end: at });
  }
  return entries;
}

const NOTHING = { bytes: new Uint8Array(0), offset: 0 };

/** Write all of it, or only some of its sectors. */
export function tear(image: Uint8Array, entry: Entry, random: Random): void {
  const { bytes, offset } = entry;
  const isTorn = random.next() < 0.25;
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    if (isTorn && random.next() < 0.5) continue;
    image.set(bytes.subarray(at, at + SECTOR_BYTES), offset + at);
  }
}

/** Mount an image while `act` runs. */
export async function withImage(
  image: string,
  mount: string,
  act: () => Promise<void>,
  mountOptions = "defaults",
): Promise<void> {
  const loop = await sh("losetup", "-f", "--show", image);
  try {
    await sh("mount", "-o", mountOptions, loop, mount);
    try {
      await act();
    } finally {
      await eventually(async () => (await sh("umount", mount), true), {
        what: `${mount} to be unmounted`,
        deadlineMs: 5000,
      });
    }
  } finally {
    await sh("losetup", "-d", loop);
  }
}
