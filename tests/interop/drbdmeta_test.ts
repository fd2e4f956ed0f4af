/**
 * DRBD's own `drbdmeta` reads our metadata, and we read what it wrote.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { dataState } from "@kedge/schema/disk/metadata-text";
import {
  dumpMetadata,
  NOTHING_TO_WIPE,
  wipeMetadata,
} from "../../node-agent/mirror/meta/inspect.ts";
import {
  applyActivityLog,
  applyText,
  invalidate,
  outdate,
} from "../../node-agent/mirror/meta/recover.ts";
import { Scope } from "../helpers/scope.ts";
import type { MetaPlacement } from "@kedge/schema/disk/geometry";
import {
  canRun,
  copy,
  disk,
  drbdmeta,
  FLEXIBLE,
  INDEXED,
  INTERNAL,
  MIB,
  sameImage,
  withMeta,
} from "./drbdmeta.ts";

const GI = "1111111111111111:2222222222222222:3333333333333332:" +
  "4444444444444444:1:1:1:0:0:0:0";
const ignore = !await canRun();

/** Where metadata can be, of data of 1 GiB, and the disk that it needs. */
const PLACES = [
  { placement: INTERNAL, diskBytes: 1024 * MIB },
  { placement: FLEXIBLE, diskBytes: 64 * MIB },
  { placement: INDEXED, diskBytes: 320 * MIB },
] as const;
const DATA = { dataBytes: 1024 * MIB } as const;

for (const { placement, diskBytes } of PLACES) {
  const at = { placement, ...DATA };
  Deno.test({
    name:
      `drbdmeta reads identifiers and states that we wrote (${placement.kind})`,
    ignore,
    async fn() {
      await using scope = new Scope();
      const { device } = await disk(scope, diskBytes);
      withMeta(device, (meta) => {
        meta.writeSuperblock({
          uuids: {
            current: 0x1111111111111111n,
            bitmap: 0x2222222222222222n,
            history: [0x3333333333333332n, 0x4444444444444444n],
          },
          flags: new Set([
            "Consistent",
            "WasUpToDate",
            "PrimaryInd",
            "AlClean",
          ]),
          laSizeSectors: meta.geometry.usableSectors,
        });
      }, { create: true, ...at });
      equal((await gi(device, placement)).trim(), GI);
      const state = await drbdmeta(device, { placement }, "dstate");
      ok(state.stdout.startsWith("Consistent"));
      withMeta(device, (meta) => ok(outdate(meta)), at);
      equal((await gi(device, placement)).trim().slice(-13), "1:0:1:0:0:0:0");
      withMeta(device, invalidate, at);
      equal((await gi(device, placement)).trim().slice(-13), "0:0:1:0:1:0:0");
      withMeta(device, (meta) => ok(!outdate(meta)), at);
    },
  });
}

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

for (const { placement, diskBytes } of PLACES) {
  const at = { placement, ...DATA };
  Deno.test({
    name:
      `apply-al: drbdmeta and we make the same bitmap of our log (${placement.kind})`,
    ignore,
    async fn() {
      await using scope = new Scope();
      const ours = await disk(scope, diskBytes);
      const theirs = await disk(scope, diskBytes);
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
      }, { create: true, ...at });
      await copy(ours.image, theirs.image);
      const force = { placement, isForced: true };
      const dump = await drbdmeta(theirs.device, force, "dump-md");
      ok(dump.stderr.includes("unclean"), dump.stderr);
      const wanted = await drbdmeta(theirs.device, force, "apply-al");
      equal(wanted.code, 0, wanted.stderr);
      let text = "";
      withMeta(ours.device, (meta) => {
        text = applyText(applyActivityLog(meta));
      }, at);
      equal(text, wanted.stdout + wanted.stderr);
      ok(text.startsWith("Marked additional"));
      equal(
        await bits(ours.device, placement),
        await bits(theirs.device, placement),
      );
      ok(
        !(await drbdmeta(ours.device, force, "dump-md")).stderr.includes("AL"),
      );
      await sameImage(ours.image, theirs.image);
    },
  });
}

for (const { placement, diskBytes } of PLACES) {
  const at = { placement, ...DATA };
  Deno.test({
    name: `dump-md prints any bitmap as drbdmeta does (${placement.kind})`,
    ignore,
    async fn() {
      await using scope = new Scope();
      const { device } = await disk(scope, diskBytes);
      const force = { placement, isForced: true };
      const next = randomFrom(1);
      for (let round = 0; round < 12; round++) {
        let text = "";
        withMeta(device, (meta) => {
          meta.writeSuperblock({ laSizeSectors: meta.geometry.usableSectors });
          const { file } = meta.loadBitmap();
          for (let n = 0; n < 1 << round; n++) {
            const from = next(file.bitmap.bits);
            file.bitmap.set({
              from,
              to: from + next(round % 2 === 0 ? 9 : 2000),
            });
          }
          file.writeDirty();
          file.flush();
          text = dumpMetadata(meta, { date: "", command: "" });
        }, { create: true, ...at });
        const wanted = await drbdmeta(device, force, "dump-md");
        // drbdmeta 9.22 shows no flags of v08 metadata.
        const masked = (dump: string) =>
          dump.replace(/flags 0x\w+/, "").replace(/^# .*\n# .*\n# .*\n/, "");
        equal(masked(text), masked(wanted.stdout));
      }
    },
  });
}

Deno.test({
  name: "what we wiped is no metadata for drbdmeta either",
  ignore,
  async fn() {
    await using scope = new Scope();
    const { device } = await disk(scope, 64 * MIB);
    withMeta(device, wipeMetadata, { create: true });
    const force = { placement: INTERNAL, isForced: true };
    const { code, stderr } = await drbdmeta(device, force, "wipe-md");
    equal(code, 0);
    equal(stderr, NOTHING_TO_WIPE);
  },
});

Deno.test({
  name: "dstate: as drbdmeta, for every combination of flags",
  ignore,
  async fn() {
    await using scope = new Scope();
    const { device } = await disk(scope, 64 * MIB);
    const names = ["Consistent", "WasUpToDate", "PeerOutDated"] as const;
    for (let word = 0; word < 8; word++) {
      const flags = names.filter((_, bit) => (word & 1 << bit) !== 0);
      let state = "";
      withMeta(device, (meta) => {
        meta.writeSuperblock({ flags: new Set([...flags, "AlClean"]) });
        state = dataState(meta.superblock);
      }, { create: true });
      const wanted = await drbdmeta(device, { placement: INTERNAL }, "dstate");
      equal(`${state}\n`, wanted.stdout);
    }
  },
});

/** The same numbers from 0 to `end` in each run. */
function randomFrom(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor(state / 2 ** 32 * end);
  };
}

/** The bitmap as `drbdmeta` prints it. */
async function bits(
  device: string,
  placement: MetaPlacement,
): Promise<string> {
  const options = { placement, isForced: true };
  const { stdout } = await drbdmeta(device, options, "dump-md");
  return stdout.slice(stdout.indexOf("bm {"));
}

async function gi(device: string, placement: MetaPlacement): Promise<string> {
  const options = { placement, isForced: true };
  return (await drbdmeta(device, options, "get-gi")).stdout;
}
