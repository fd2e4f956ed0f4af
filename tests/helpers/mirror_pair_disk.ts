/**
 * Disks of a kind: nbdkit with a plugin in Python, and nbdfuse makes a file of
 * it that a daemon can use.
 *
 * @module
 */

import { Child, run } from "./child.ts";
import { eventually } from "./eventually.ts";
import { say } from "./say.ts";
import type { Scope } from "./scope.ts";
import { ROOT } from "./stack.ts";

/** What can fail. */
export type DiskFault = "read" | "write" | "flush";

/** Whether such disks can be had here; says why not. */
export async function hasPluginDisks(test: string): Promise<boolean> {
  const reason = await whyNot();
  if (reason !== undefined) say(`SKIPPED ${test}: ${reason}`);
  return reason === undefined;
}

async function whyNot(): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "it needs root";
  const isThere = await Deno.stat("/dev/fuse").then(() => true, () => false);
  if (!isThere) return "/dev/fuse is missing";
  const words = "nbdkit python --dump-plugin && nbdfuse --version";
  const { code } = await run(["sh", "-c", words]).catch(() => ({ code: 1 }));
  return code === 0
    ? undefined
    : "nbdkit's python plugin or nbdfuse is missing";
}

/** A plugin in `tests/rigs`, and its parameters. */
export interface PluginDisk {
  readonly plugin: string;
  /** Folder that is made for it. */
  readonly dir: string;
  readonly sizeBytes: number;
  /** `KEY=VALUE` beside `image=`. */
  readonly parameters: readonly string[];
}

/**
 * Start a disk; it goes with the scope.
 *
 * @returns The file that a daemon uses.
 */
export async function startPluginDisk(
  scope: Scope,
  { plugin, dir, sizeBytes, parameters }: PluginDisk,
): Promise<string> {
  const [image, socket, disk] = [
    `${dir}/image`,
    `${dir}/socket`,
    `${dir}/disk`,
  ];
  await Deno.writeFile(image, new Uint8Array(0));
  await Deno.truncate(image, sizeBytes);
  await Deno.writeFile(disk, new Uint8Array(0));
  Child.start(scope, {
    command: [
      ...["nbdkit", "-f", "-U", socket, "python"] as const,
      ...[`${ROOT}tests/rigs/${plugin}`, `image=${image}`, ...parameters],
    ],
  });
  await eventually(() => Deno.stat(socket), { what: "nbdkit" });
  Child.start(scope, {
    command: ["nbdfuse", disk, `nbd+unix:///?socket=${socket}`],
  });
  scope.defer(() => run(["fusermount3", "-u", "-z", disk]));
  await eventually(
    async () => (await Deno.stat(disk)).size === sizeBytes,
    { what: "nbdfuse" },
  );
  return disk;
}

/** A disk that fails on command. */
export class FaultDisk {
  private constructor(readonly dir: string, readonly path: string) {}

  /** Make one in a new folder; it goes with the scope. */
  static async make(
    scope: Scope,
    dir: string,
    sizeBytes: number,
  ): Promise<FaultDisk> {
    await Deno.mkdir(dir);
    const plugin = "mirror_faulty_disk.py";
    const parameters = [`ctl=${dir}`];
    const disk = { plugin, dir, sizeBytes, parameters };
    return new FaultDisk(dir, await startPluginDisk(scope, disk));
  }

  /** What is really on it. */
  get image(): string {
    return `${this.dir}/image`;
  }

  /** Let something fail from now on; perhaps only in front of a byte. */
  async set(fault: DiskFault, belowBytes?: number): Promise<void> {
    const path = `${this.dir}/${fault}`;
    // Never seen half written.
    await Deno.writeTextFile(`${path}.new`, `${belowBytes ?? ""}`);
    await Deno.rename(`${path}.new`, path);
  }

  /** No more faults. */
  async heal(): Promise<void> {
    for (const fault of ["read", "write", "flush"]) {
      await Deno.remove(`${this.dir}/${fault}`).catch(() => {});
    }
  }
}
