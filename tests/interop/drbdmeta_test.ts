/**
 * DRBD's own `drbdmeta` reads our metadata, and we read what it wrote.
 *
 * Runs it on loop devices; no kernel module is needed. `create-md` is compared
 * byte for byte on disk, and word for word on the terminal.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import type { MetaPlacement } from "@kedge/schema/disk/geometry";
import { createMetadata } from "../../node-agent/mirror/meta/create_metadata.ts";
import {
  CREATE_CANCELLED,
  FORCED,
  NO_TERMINAL,
} from "../../node-agent/mirror/meta/create_texts.ts";
import { openFileDevice } from "../../node-agent/mirror/meta/file_device.ts";
import {
  type MetaSource,
  openMeta,
} from "../../node-agent/mirror/meta/meta_device.ts";
import {
  applyActivityLog,
  applyText,
  invalidate,
  outdate,
} from "../../node-agent/mirror/meta/recover.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { sound } from "../helpers/sound.ts";

const MIB = 1024 * 1024;
const GI = "1111111111111111:2222222222222222:3333333333333332:" +
  "4444444444444444:1:1:1:0:0:0:0";
const INTERNAL: MetaPlacement = { kind: "internal" };
const FLEXIBLE: MetaPlacement = { kind: "flexible" };

const ignore = !await canRun();

/** What one `create-md` said and left. */
interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Case {
  readonly name: string;
  readonly bytes: number;
  readonly placement: MetaPlacement;
  readonly isForced: boolean;
  /** Puts something in the way. */
  readonly prepare: (device: string) => unknown;
}

const CASES: readonly Case[] = ([
  ["a blank disk", 64 * MIB, INTERNAL, () => {}],
  ["a size that no block divides", 100_001 * 1024, INTERNAL, () => {}],
  ["a larger disk", 1024 * MIB, INTERNAL, () => {}],
  ["a blank metadata disk", 128 * MIB, FLEXIBLE, () => {}],
  ["a tiny disk", 64 * 1024, INTERNAL, () => {}],
  ["the smallest disk", 68 * 1024, INTERNAL, () => {}],
  ["metadata in place", 64 * MIB, INTERNAL, theirCreate("internal")],
  ["metadata there", 128 * MIB, FLEXIBLE, theirCreate("flex-external")],
  ["some data", 64 * MIB, INTERNAL, write("x", 0)],
  ["data at 64 KiB", 64 * MIB, INTERNAL, write("x", 65_536)],
  ["data that is overlooked", 64 * MIB, INTERNAL, write("x", 131_072)],
  ["metadata and data", 64 * MIB, INTERNAL, async (device: string) => {
    await theirCreate("internal")(device);
    await write("x", 0)(device);
  }],
  ["data on the metadata disk", 128 * MIB, FLEXIBLE, write("x", 0)],
  ["ext4", 64 * MIB, INTERNAL, mkfs("mkfs.ext4", "-q", "-F")],
  ["ext2", 64 * MIB, INTERNAL, mkfs("mkfs.ext2", "-q", "-F")],
  [
    "ext4, shrunk",
    64 * MIB,
    INTERNAL,
    mkfs("mkfs.ext4", "-q", "-F", "@", "60M"),
  ],
  [
    "ext4 on the metadata disk",
    128 * MIB,
    FLEXIBLE,
    mkfs("mkfs.ext4", "-q", "-F"),
  ],
  ["xfs", 400 * MIB, INTERNAL, mkfs("mkfs.xfs", "-q", "-f")],
  ["swap", 64 * MIB, INTERNAL, mkfs("mkswap", "-q")],
  ["swap on the metadata disk", 128 * MIB, FLEXIBLE, mkfs("mkswap", "-q")],
] as const).flatMap(([name, bytes, placement, prepare]) =>
  [false, true].map((isForced) => ({
    name,
    bytes,
    placement,
    prepare,
    isForced,
  }))
);

for (const each of CASES) {
  const how = each.isForced ? "--force" : "unattended";
  Deno.test({
    name: `create-md, ${each.name}, ${how}: as drbdmeta`,
    ignore,
    async fn() {
      await using scope = new Scope();
      const [ours, theirs] = [
        await disk(scope, each.bytes),
        await disk(scope, each.bytes),
      ];
      await each.prepare(theirs.device);
      await copy(theirs.image, ours.image);
      const wanted = await drbdmeta(theirs.device, each, "create-md");
      const said = ourCreate(ours.device, each);
      const same = (text: string) => {
        const named = text.replaceAll(theirs.device, ours.device);
        if (each.placement.kind === "internal") return named;
        // We know the data's size and clear no more than its bitmap.
        return named.replace(/^initializing bitmap .*\n/m, "");
      };
      equal(said.stdout, same(wanted.stdout));
      equal(same(said.stderr), same(wanted.stderr));
      equal(said.code, wanted.code);
      await sameImage(ours.image, theirs.image);
    },
  });
}

Deno.test({
  name: "create-md of indexed metadata: as drbdmeta, each slot",
  ignore,
  async fn() {
    await using scope = new Scope();
    const ours = await disk(scope, 384 * MIB);
    const theirs = await disk(scope, 384 * MIB);
    for (const index of [2, 0]) {
      const placement: MetaPlacement = { kind: "indexed", index };
      const options = { placement, isForced: false };
      const wanted = await drbdmeta(theirs.device, options, "create-md");
      const said = ourCreate(ours.device, options);
      equal(said.code, 0);
      equal(said.stdout, wanted.stdout);
    }
    await sameImage(ours.image, theirs.image);
  },
});

Deno.test({
  name: "drbdmeta reads identifiers and states that we wrote",
  ignore,
  async fn() {
    await using scope = new Scope();
    const { device } = await disk(scope, 64 * MIB);
    withMeta(device, (meta) => {
      meta.writeSuperblock({
        uuids: {
          current: 0x1111111111111111n,
          bitmap: 0x2222222222222222n,
          history: [0x3333333333333332n, 0x4444444444444444n],
        },
        flags: new Set(["Consistent", "WasUpToDate", "PrimaryInd", "AlClean"]),
        laSizeSectors: meta.geometry.usableSectors,
      });
    }, { create: true });
    equal((await gi(device)).trim(), GI);
    const state = await drbdmeta(device, { placement: INTERNAL }, "dstate");
    ok(state.stdout.startsWith("Consistent"));
    withMeta(device, (meta) => ok(outdate(meta)));
    equal((await gi(device)).trim().slice(-13), "1:0:1:0:0:0:0");
    withMeta(device, invalidate);
    equal((await gi(device)).trim().slice(-13), "0:0:1:0:1:0:0");
    withMeta(device, (meta) => ok(!outdate(meta)));
  },
});

Deno.test({
  name: "we read what drbdmeta set, outdated and invalidated",
  ignore,
  async fn() {
    await using scope = new Scope();
    const { device } = await disk(scope, 64 * MIB);
    const force = { placement: INTERNAL, isForced: true };
    equal((await drbdmeta(device, force, "create-md")).code, 0);
    equal((await drbdmeta(device, force, "set-gi", GI)).code, 0);
    withMeta(device, ({ superblock }) => {
      equal(superblock.uuids.current, 0x1111111111111111n);
      equal(superblock.uuids.bitmap, 0x2222222222222222n);
      equal(superblock.uuids.history[1], 0x4444444444444444n);
      deepEqual(
        superblock.flags,
        new Set(["Consistent", "PrimaryInd", "WasUpToDate", "AlClean"]),
      );
    });
    await drbdmeta(device, force, "outdate");
    withMeta(device, ({ superblock }) => {
      ok(!superblock.flags.has("WasUpToDate"));
      ok(superblock.flags.has("Consistent"));
    });
    await drbdmeta(device, force, "invalidate");
    withMeta(device, (meta) => {
      ok(!meta.superblock.flags.has("Consistent"));
      const { file, fullBecause } = meta.loadBitmap();
      ok(fullBecause?.includes("full resync"));
      equal(file.bitmap.setBits, file.bitmap.bits);
    });
  },
});

Deno.test({
  name: "apply-al: drbdmeta and we make the same bitmap of our log",
  ignore,
  async fn() {
    await using scope = new Scope();
    const ours = await disk(scope, 1024 * MIB);
    const theirs = await disk(scope, 1024 * MIB);
    withMeta(ours.device, (meta) => {
      meta.writeSuperblock({ laSizeSectors: meta.geometry.usableSectors });
      const { file } = meta.loadBitmap();
      file.bitmap.set({ from: 5, to: 6 });
      file.writeDirty();
      file.flush();
      const flags = new Set(meta.superblock.flags).add("PrimaryInd");
      meta.writeSuperblock({ flags });
      const log = meta.attach();
      // More transactions than the ring has blocks; slots change hands.
      for (let turn = 0; turn < 30; turn++) {
        for (let n = 0; n < 7; n++) {
          log.stage((turn * 5 + n) % 100, (turn * 11 + n * 3) % 256);
        }
        log.commit();
      }
    }, { create: true });
    await copy(ours.image, theirs.image);
    const force = { placement: INTERNAL, isForced: true };
    const dump = await drbdmeta(theirs.device, force, "dump-md");
    ok(dump.stderr.includes("unclean"), dump.stderr);
    const wanted = await drbdmeta(theirs.device, force, "apply-al");
    equal(wanted.code, 0, wanted.stderr);
    let text = "";
    withMeta(ours.device, (meta) => {
      text = applyText(applyActivityLog(meta));
    });
    equal(text, wanted.stdout + wanted.stderr);
    ok(text.startsWith("Marked additional"));
    equal(await bits(ours.device), await bits(theirs.device));
    ok(!(await drbdmeta(ours.device, force, "dump-md")).stderr.includes("AL"));
    await sameImage(ours.image, theirs.image);
  },
});

/** The bitmap as `drbdmeta` prints it. */
async function bits(device: string): Promise<string> {
  const options = { placement: INTERNAL, isForced: true };
  const { stdout } = await drbdmeta(device, options, "dump-md");
  return stdout.slice(stdout.indexOf("bm {"));
}

async function gi(device: string): Promise<string> {
  const options = { placement: INTERNAL, isForced: true };
  return (await drbdmeta(device, options, "get-gi")).stdout;
}

/** `create-md` as a command would run it, unattended or with `--force`. */
function ourCreate(
  device: string,
  options: { readonly placement: MetaPlacement; readonly isForced: boolean },
): Said {
  const raw = openFileDevice(device);
  try {
    const source = sourceOf(raw, options.placement);
    // drbdmeta writes its own old default of al-extents.
    const first = createMetadata(source, { alNrExtents: 257 });
    const questions = first.kind === "confirm" ? first.questions : [];
    let stdout = "";
    let stderr = "";
    for (const question of questions) {
      stdout += question.stdout;
      stderr += question.stderr + (options.isForced ? FORCED : NO_TERMINAL);
      if (options.isForced) continue;
      stdout += question.cancelled;
      return { code: CREATE_CANCELLED, stdout, stderr };
    }
    const result = first.kind === "confirm"
      ? createMetadata(source, { alNrExtents: 257, isConfirmed: true })
      : first;
    if (result.kind === "confirm") throw new Error("asked twice");
    const told = result.kind === "refused" ? result.refusal : result;
    const code = result.kind === "refused" ? result.refusal.exitCode : 0;
    return { code, stdout: stdout + told.stdout, stderr: stderr + told.stderr };
  } finally {
    raw.close();
  }
}

function withMeta(
  device: string,
  use: (
    meta: Exclude<ReturnType<typeof openMeta>, { problem: unknown }>,
  ) => void,
  options: { readonly create?: boolean } = {},
): void {
  const raw = openFileDevice(device);
  try {
    const source = sourceOf(raw, INTERNAL);
    if (options.create === true) equal(createMetadata(source).kind, "created");
    use(sound(openMeta(source)));
  } finally {
    raw.close();
  }
}

function sourceOf(
  device: MetaSource["device"],
  placement: MetaPlacement,
): MetaSource {
  const dataDeviceBytes = placement.kind === "internal"
    ? device.sizeBytes
    : 32 * MIB;
  return { device, dataDeviceBytes, placement };
}

async function drbdmeta(
  device: string,
  options: { readonly placement: MetaPlacement; readonly isForced?: boolean },
  ...command: string[]
): Promise<Said> {
  const { placement } = options;
  const at = {
    internal: "internal",
    flexible: "flex-external",
    indexed: placement.kind === "indexed" ? String(placement.index) : "",
  }[placement.kind];
  const force = options.isForced === true ? ["--force"] : [];
  return await run("drbdmeta", ...force, "7", "v08", device, at, ...command);
}

async function run(command: string, ...args: string[]): Promise<Said> {
  const output = await new Deno.Command(command, { args, stdin: "null" })
    .output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    code: output.code,
    stdout: text(output.stdout),
    stderr: text(output.stderr),
  };
}

function theirCreate(at: string): (device: string) => Promise<unknown> {
  return (device) => run("drbdmeta", "7", "v08", device, at, "create-md");
}

function write(text: string, offset: number) {
  return async (device: string) => {
    using file = await Deno.open(device, { write: true });
    await file.seek(offset, Deno.SeekMode.Start);
    await file.write(new TextEncoder().encode(text));
    await file.sync();
  };
}

/** Make a file system; `@` stands for the device, which is last otherwise. */
function mkfs(command: string, ...args: string[]) {
  return async (device: string) => {
    const all = args.includes("@") ? args : [...args, "@"];
    const filled = all.map((arg) => arg === "@" ? device : arg);
    const { code, stderr } = await run(command, ...filled);
    if (code !== 0) throw new Error(stderr);
    await run("sync", device);
  };
}

/** An image file with a loop device on it. */
async function disk(scope: Scope, bytes: number) {
  const image = `${await scope.tempDir()}/image`;
  (await Deno.create(image)).close();
  await Deno.truncate(image, bytes);
  const { stdout, stderr } = await run("losetup", "-f", "--show", image);
  const device = stdout.trim();
  if (device === "") throw new Error(`losetup: ${stderr}`);
  scope.defer(() => run("losetup", "-d", device));
  return { image, device };
}

/** Copy into an image that a loop device lies on, holes as holes. */
async function copy(from: string, to: string): Promise<void> {
  await run("sync", from);
  const { code, stderr } = await run("cp", "--sparse=always", from, to);
  if (code !== 0) throw new Error(stderr);
}

async function sameImage(ours: string, theirs: string): Promise<void> {
  const { code, stdout } = await run("cmp", ours, theirs);
  equal(code, 0, stdout);
}

/** Everything that these tests need; says loudly what is missing. */
async function canRun(): Promise<boolean> {
  try {
    await run("drbdmeta");
    await using scope = new Scope();
    await disk(scope, MIB);
    return true;
  } catch (error) {
    say(`SKIPPED: drbdmeta interoperation: ${error}`);
    return false;
  }
}
