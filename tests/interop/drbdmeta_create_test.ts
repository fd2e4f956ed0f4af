/**
 * `create-md` of ours and of DRBD: the same bytes on disk, and the same words
 * and exit codes, whatever is in the way.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import type { MetaPlacement } from "@kedge/schema/disk/geometry";
import { createMetadata } from "../../node-agent/mirror/meta/create_metadata.ts";
import {
  CREATE_CANCELLED,
  FORCED,
  NO_TERMINAL,
} from "../../node-agent/mirror/meta/create_texts.ts";
import { openFileDevice } from "../../node-agent/mirror/meta/file_device.ts";
import { Scope } from "../helpers/scope.ts";
import {
  canRun,
  copy,
  disk,
  drbdmeta,
  FLEXIBLE,
  INTERNAL,
  MIB,
  run,
  type Said,
  sameImage,
  sourceOf,
} from "./drbdmeta.ts";

const ignore = !await canRun();

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
