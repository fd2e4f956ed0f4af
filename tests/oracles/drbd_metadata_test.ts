/**
 * The four metadata images: built field by field from our codecs, each must be
 * the same 64 MiB as the one that DRBD's own tools were asked about.
 *
 * Their README lists the fields; this test is that table in code.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  AL_CONTEXT_SLOTS,
  AL_FREE,
  type AlUpdate,
  encodeAlTransaction,
} from "@kedge/schema/disk/activity-log";
import { replayRing } from "@kedge/schema/disk/activity-log-replay";
import { Bitmap } from "@kedge/schema/disk/bitmap";
import { crc32cDrbd } from "@kedge/schema/disk/crc32c";
import {
  bitsOfSectors,
  layOut,
  layoutOf,
  STRIPING_DEFAULT,
} from "@kedge/schema/disk/geometry";
import {
  dataState,
  dumpedBitmapBytes,
  dumpText,
  generationText,
} from "@kedge/schema/disk/metadata-text";
import {
  decodeV09,
  encodeV09,
  v09BitAt,
  v09BitmapBytes,
} from "@kedge/schema/disk/metadata-v09";
import {
  decodeSuperblock,
  encodeSuperblock,
  flagsOfWord,
  type MetaSuperblock,
} from "@kedge/schema/disk/superblock";
import { z } from "zod";
import { showGiText } from "../../node-agent/cli/drbdadm/show_gi_text.ts";
import { say } from "../helpers/say.ts";
import { sound } from "../helpers/sound.ts";
import { oracleFolder } from "./vectors.ts";

const FOLDER = oracleFolder("drbd/metadata");
const ignore = isMissing(`${FOLDER}/image-v08-clean.sha256`);

const IMAGE_BYTES = 64 * 1024 * 1024;
const UUIDS = [
  0x1111111111111111n,
  0x2222222222222222n,
  0x3333333333333332n,
  0x4444444444444444n,
] as const;
const FLAGS = { clean: 145, crashed: 19 };
const MODES = ["clean", "crashed"] as const;
type Mode = typeof MODES[number];

/** What drbdmeta was asked about v08, and why we do not compare the answer. */
const V08_TEXTS: Readonly<Record<string, string>> = {
  "dump-md": "",
  "dump-md-after-apply-al": "",
  "get-gi": "",
  "show-gi": "",
  "dstate": "",
  "apply-al": "beside a live drbdmeta, in interop/drbdmeta_test.ts",
};

const Layout = z.object({
  superOff: z.number(),
  alOff: z.number(),
  bmOff: z.number(),
  mdSizeSect: z.number(),
  effective: z.number(),
});

for (const mode of MODES) {
  Deno.test({ name: `image v08 ${mode} is made byte for byte`, ignore }, () => {
    const geometry = sound(layOut({
      placement: { kind: "internal" },
      dataDeviceBytes: IMAGE_BYTES,
    }));
    const layout = layoutFile("v08", mode);
    equal(geometry.superblockOffset, layout.superOff);
    equal(geometry.alOffset, layout.alOff);
    equal(geometry.bmOffset, layout.bmOff);
    equal(geometry.mdSizeSectors, layout.mdSizeSect);
    equal(geometry.usableSectors, layout.effective);

    const image = new Uint8Array(IMAGE_BYTES);
    image.set(encodeSuperblock(superblockV08(mode)), layout.superOff);
    image.set(ring(mode), layout.alOff);
    const bitmap = new Bitmap(bitsOfSectors(geometry.usableSectors));
    bitmap.set({ from: 5, to: 6 });
    bitmap.set({ from: 64, to: 65 });
    image.set(bitmap.bytes, layout.bmOff);
    sameImage(image, "v08", mode);
  });

  Deno.test({ name: `image v09 ${mode} is made byte for byte`, ignore }, () => {
    const layout = layoutFile("v09", mode);
    const bits = bitsOfSectors(IMAGE_BYTES / 512);
    equal(layout.superOff - 64 * 512 - v09BitmapBytes(bits, 3), layout.bmOff);

    const image = new Uint8Array(IMAGE_BYTES);
    const superblock = superblockV09(mode);
    image.set(encodeV09(superblock), layout.superOff);
    image.set(ring(mode), layout.alOff);
    for (const [bit, slot] of [[5, 0], [64, 0], [96, 1]] as const) {
      const { byte, mask } = v09BitAt(bit, slot, 3);
      image[layout.bmOff + byte] = mask;
    }
    sameImage(image, "v09", mode);
    const read = decodeV09(encodeV09(superblock));
    equal(read?.peers[1]?.bitmapUuid, UUIDS[1]);
    equal(read?.peers[3]?.bitmapIndex, -1);
    equal(read?.nodeId, 0);
  });

  Deno.test({ name: `image v08 ${mode} is read back`, ignore }, () => {
    const wanted = superblockV08(mode);
    const read = sound(decodeSuperblock(encodeSuperblock(wanted)));
    equal(read.isClean, mode === "clean");
    equal(read.uuids.current, UUIDS[0]);
    equal(read.flags.has("PrimaryInd"), mode === "crashed");
    sound(layoutOf(read, {
      placement: { kind: "internal" },
      dataDeviceBytes: IMAGE_BYTES,
    }));
    const replay = replayRing(ring(mode), STRIPING_DEFAULT);
    ok(replay.kind === "extents");
    equal(replay.extents.join(), mode === "crashed" ? "3,7" : "");
  });
}

/** After `apply-al` the bitmap is the one of the file of that name. */
for (
  const [mode, when, extents] of [
    ["clean", "", []],
    ["crashed", "", []],
    ["crashed", "-after-apply-al", [3, 7]],
  ] as const
) {
  Deno.test(
    { name: `dump-md${when} of v08 ${mode}, as drbdmeta`, ignore },
    () => {
      const isApplied = when !== "";
      const superblock = {
        ...superblockV08(mode),
        ...(isApplied ? { isClean: true, flags: flagsOfWord(0x93) } : {}),
      };
      const geometry = sound(layOut({
        placement: { kind: "internal" },
        dataDeviceBytes: IMAGE_BYTES,
      }));
      const bitmap = new Bitmap(bitsOfSectors(geometry.usableSectors));
      bitmap.set({ from: 5, to: 6 });
      bitmap.set({ from: 64, to: 65 });
      for (const extent of extents) {
        bitmap.set({ from: extent * 1024, to: (extent + 1) * 1024 });
      }
      equal(bitmap.bytes.length, dumpedBitmapBytes(superblock));
      const text = dumpText({
        superblock,
        geometry,
        bitmap: bitmap.bytes,
        date: "@DATE@",
        command: "@HOST@> drbdmeta --force 7 v08 @DEV@ internal dump-md",
      });
      const masked = (dump: string) => dump.replace(/flags 0x\w+/, "flags");
      const file = `${FOLDER}/expected-v08-${mode}.dump-md${when}`;
      equal(masked(text), masked(Deno.readTextFileSync(`${file}.txt`)));
      if (isApplied) equal(text, Deno.readTextFileSync(`${file}.v9.34.txt`));
    },
  );
}

for (const mode of MODES) {
  Deno.test(
    { name: `get-gi, show-gi and dstate of v08 ${mode}`, ignore },
    () => {
      const superblock = superblockV08(mode);
      const read = (what: string) =>
        Deno.readTextFileSync(`${FOLDER}/expected-v08-${mode}.${what}.txt`);
      equal(`${generationText(superblock)}\n`, read("get-gi"));
      equal(`${dataState(superblock)}\n`, read("dstate"));
      equal(showGiText(superblock), read("show-gi"));
    },
  );
}

Deno.test({ name: "every image and every text is looked at", ignore }, () => {
  const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name);
  const images = names.filter((name) => name.startsWith("image-"));
  const built = ["v08", "v09"].flatMap((format) =>
    MODES.map((mode) => `image-${format}-${mode}.sha256`)
  );
  equal(images.toSorted().join(), built.join(), "an image without a recipe");
  const isText = /^expected-v0(\d)-(?:clean|crashed)\.([\w-]+)\.[\w.]+$/;
  for (const name of names.filter((each) => each.startsWith("expected-"))) {
    const [, format, command = ""] = isText.exec(name) ?? [];
    ok(format === "9" || command in V08_TEXTS, `nobody looks at ${name}`);
  }
  for (const [command, why] of Object.entries(V08_TEXTS)) {
    if (why !== "") say(`SKIPPED: ${command} of v08: ${why}`);
  }
  say("SKIPPED: texts about v09: its metadata is only recognised, never used");
});

function superblockV08(mode: Mode): MetaSuperblock {
  const { effective, mdSizeSect } = layoutFile("v08", mode);
  const [current, bitmap, ...history] = UUIDS;
  return {
    uuids: { current, bitmap, history },
    flags: flagsOfWord(FLAGS[mode]),
    unknownFlags: 0,
    isClean: mode === "clean",
    laSizeSectors: effective,
    deviceUuid: 0n,
    registerEpoch: 0,
    isSealed: false,
    mdSizeSectors: mdSizeSect,
    alOffsetSectors: -64,
    bmOffsetSectors: -72,
    alNrExtents: 1237,
    bmBytesPerBit: 4096,
    laPeerMaxBioBytes: 1_048_576,
    alStripes: 1,
    alStripeSize4k: 8,
  };
}

function superblockV09(mode: Mode) {
  const { effective, mdSizeSect } = layoutFile("v09", mode);
  const none = { bitmapUuid: 0n, dagtag: 0n, flags: 0, bitmapIndex: -1 };
  return {
    effectiveSizeSectors: effective,
    currentUuid: UUIDS[0],
    deviceUuid: 0n,
    flags: FLAGS[mode],
    mdSizeSectors: mdSizeSect,
    alOffsetSectors: -64,
    alNrExtents: 1237,
    bmOffsetSectors: -80,
    bmBytesPerBit: 4096,
    laPeerMaxBioBytes: 1_048_576,
    maxPeers: 3,
    nodeId: 0,
    alStripes: 1,
    alStripeSize4k: 8,
    peers: [
      none,
      { bitmapUuid: UUIDS[1], dagtag: 0n, flags: 16, bitmapIndex: 0 },
      { bitmapUuid: 0n, dagtag: 0n, flags: 17, bitmapIndex: 1 },
    ],
    history: [UUIDS[2], UUIDS[3]],
  };
}

/** One transaction, and seven blocks as the kernel initialises them. */
function ring(mode: Mode): Uint8Array {
  const blocks = new Uint8Array(8 * 4096);
  const context = Array<number>(AL_CONTEXT_SLOTS).fill(AL_FREE);
  const empty = { contextSize: 1237, contextStart: 0, context };
  const active: AlUpdate[] = [{ slot: 0, extent: 3 }, { slot: 1, extent: 7 }];
  const updates = mode === "crashed" ? active : [];
  blocks.set(encodeAlTransaction({ number: 0, updates, ...empty }));
  const fresh = encodeAlTransaction({
    number: 0xffffffff,
    updates: [],
    ...empty,
  });
  const view = new DataView(fresh.buffer);
  view.setUint16(12, 0xffff);
  view.setUint32(8, 0);
  view.setUint32(8, crc32cDrbd(fresh));
  for (let at = 1; at < 8; at++) blocks.set(fresh, at * 4096);
  return blocks;
}

function sameImage(image: Uint8Array, format: string, mode: Mode): void {
  const wanted = Deno.readTextFileSync(
    `${FOLDER}/image-${format}-${mode}.sha256`,
  );
  equal(createHash("sha256").update(image).digest("hex"), wanted.trim());
}

function layoutFile(format: string, mode: Mode): z.infer<typeof Layout> {
  const text = Deno.readTextFileSync(`${FOLDER}/layout-${format}-${mode}.json`);
  return Layout.parse(JSON.parse(text));
}

function isMissing(file: string): boolean {
  try {
    Deno.statSync(file);
    return false;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    say(`SKIPPED: no metadata images in ${FOLDER} (set KEDGE_ORACLES)`);
    return true;
  }
}
