/** Bits of a superblock that flip while nobody uses the disk. */

import { equal, match, throws } from "node:assert/strict";
import { createMetadata } from "../meta/create_metadata.ts";
import { openDevices } from "../meta/open_disk.ts";
import { AttachError, BackingDisk } from "./backing_disk.ts";

const DISK_BYTES = 4 * 1024 * 1024;
/** Internal metadata: the last 4 KiB. */
const SUPERBLOCK_AT = DISK_BYTES - 4096;

Deno.test("a flag that rotted is not believed, and create-md begins anew", () => {
  const dataPath = Deno.makeTempFileSync();
  try {
    Deno.truncateSync(dataPath, DISK_BYTES);
    const placement = { kind: "internal" } as const;
    const create = () => {
      const devices = openDevices({ dataPath, placement });
      if ("problem" in devices) throw new Error(devices.problem.detail);
      const { kind } = createMetadata(devices.source, { isConfirmed: true });
      devices.close();
      return kind;
    };
    equal(create(), "created");
    const paths = { disk: dataPath, metaDisk: dataPath, placement };
    const disk = BackingDisk.open(paths);
    disk.saveState(disk.describe().persistent);
    disk.close(true);
    BackingDisk.open(paths).close(true);

    flip(dataPath, SUPERBLOCK_AT + 59, 1); // "consistent"
    throws(() => BackingDisk.open(paths), (error) => {
      if (!(error instanceof AttachError)) return false;
      equal(error.code, 119);
      match(error.message, /damaged: its checksum .* "drbdadm create-md"/);
      return true;
    });
    equal(create(), "created");
    BackingDisk.open(paths).close(true);
  } finally {
    Deno.removeSync(dataPath);
  }
});

function flip(path: string, at: number, mask: number): void {
  using file = Deno.openSync(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  file.seekSync(at, Deno.SeekMode.Start);
  file.readSync(byte);
  byte[0] = (byte[0] ?? 0) ^ mask;
  file.seekSync(at, Deno.SeekMode.Start);
  file.writeSync(byte);
}
