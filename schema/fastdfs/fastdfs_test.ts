import assert from "node:assert/strict";
import fc from "fast-check";
import { parseFileId } from "../file_id.ts";
import {
  binlogFiles,
  encodeBinlogLine,
  encodeTrunkPlace,
  encodeTrunkSlot,
  isTrunkFileName,
  readBinlogLine,
  readTrunkSlot,
  slotFault,
  trunkFileName,
  trunkPlace,
} from "./mod.ts";

/** Made by FastDFS 6.16.1. */
const PACKED = [
  {
    id: "group1/M00/00/00/fwELAWsCjd2IMpk4AAAAZA_kmr0AAAAAQAAAAAAAAEA6241559",
    place: { number: 1, offset: 0, allocatedBytes: 256 },
  },
  {
    id: "group1/M00/00/00/fwELAWsCjd6IEP75AAABLMukXo4AAAAAQAAAgAAAAIA3048978",
    place: { number: 1, offset: 512, allocatedBytes: 512 },
  },
] as const;

Deno.test("trunkPlace() reads where FastDFS put its packed files", () => {
  for (const { id, place } of PACKED) {
    const parsed = parseFileId(id);
    assert(parsed !== undefined);
    assert.deepEqual(trunkPlace(parsed), place);
    assert.equal(encodeTrunkPlace(place), parsed.name.slice(27, 43));
  }
  const plain = parseFileId(
    "group1/M00/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt",
  );
  assert(plain !== undefined);
  assert.equal(trunkPlace(plain), undefined);
  assert.equal(trunkFileName(1), "000001");
  assert(isTrunkFileName("000001"));
  assert(!isTrunkFileName("00001"));
});

Deno.test("a slot reads back as it was written", () => {
  const slots = fc.record({
    kind: fc.constantFrom("file", "link", "free"),
    allocatedBytes: fc.nat(2 ** 31 - 1),
    sizeBytes: fc.nat(2 ** 32 - 1),
    crc32: fc.nat(2 ** 32 - 1),
    createdS: fc.nat(2 ** 32 - 1),
    tail: fc.constantFrom("", "1234567", "123.jpg"),
  });
  fc.assert(fc.property(slots, (slot) => {
    assert.deepEqual(readTrunkSlot(encodeTrunkSlot(slot)), { ...slot });
  }));
});

Deno.test("readTrunkSlot() takes nothing else for a slot", () => {
  assert.equal(readTrunkSlot(new Uint8Array(23)), undefined);
  assert.equal(readTrunkSlot(new Uint8Array(24).fill(0x41)), undefined);
  const huge = new Uint8Array(24).fill(0xff);
  huge[0] = 0x46;
  assert.equal(readTrunkSlot(huge), undefined);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    readTrunkSlot(bytes);
  }));
});

Deno.test("slotFault() says when a slot is another file's", () => {
  const id = parseFileId(PACKED[0].id);
  assert(id?.sizeBytes !== undefined);
  const slot = {
    kind: "file",
    allocatedBytes: 256,
    sizeBytes: id.sizeBytes,
    crc32: id.crc32,
    createdS: id.createdS,
    tail: "6241559",
  } as const;
  assert.equal(slotFault(slot, id), undefined);
  assert.match(slotFault({ ...slot, kind: "free" }, id) ?? "", /free/);
  for (
    const other of [
      { allocatedBytes: 512 },
      { sizeBytes: 99 },
      { crc32: 1 },
      { createdS: 1 },
      { tail: "6241558" },
    ]
  ) {
    assert(slotFault({ ...slot, ...other }, id), JSON.stringify(other));
  }
});

Deno.test("readBinlogLine() reads operations and names, and nothing odd", () => {
  const name = "M01/00/00/f00BC2sDBl-AbhDMAAAAyCM6XTg2565896";
  for (const more of ["", " 5000 70000", " M01/../00/x", ` ${name}/`]) {
    const line = `1795360351 R ${name}${more}`;
    assert.deepEqual(readBinlogLine(line), { operation: "R", name });
  }
  const before = name.replace("565896", "123456");
  const renamed = { operation: "R", name, before };
  const line = encodeBinlogLine(1795360351, renamed).trimEnd();
  assert.deepEqual(readBinlogLine(line), renamed);
  const linked = `1795360351 L ${name} ${before}`;
  assert.deepEqual(readBinlogLine(linked), { operation: "L", name });
  const said = { operation: "C", name };
  assert.deepEqual(
    readBinlogLine(encodeBinlogLine(1795360351, said).trimEnd()),
    said,
  );
  for (
    const line of [
      "",
      "1795360351",
      `x C ${name}`,
      "1795360351 C ../../etc/passwd",
      "1795360351 C M00/00/00/../../x",
      `1795360351 CC ${name}`,
    ]
  ) assert.equal(readBinlogLine(line), undefined, line);
  const names = ["binlog.001.gz", "binlog_index.dat", "binlog.000", "x.mark"];
  assert.deepEqual(binlogFiles(names), ["binlog.000", "binlog.001.gz"]);
});
