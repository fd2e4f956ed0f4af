import assert from "node:assert/strict";
import { hashedDirectory, rotatedDirectory } from "./file_directories.ts";
import { encodeFileName, hexByte } from "./file_id.ts";

Deno.test("directories are spread in turn, or by the hash of the name", () => {
  assert.deepEqual(rotatedDirectory(0, 100, 256), { high: 0, low: 0 });
  assert.deepEqual(rotatedDirectory(99, 100, 256), { high: 0, low: 0 });
  assert.deepEqual(rotatedDirectory(100, 100, 256), { high: 0, low: 1 });
  assert.deepEqual(rotatedDirectory(25600, 100, 256), { high: 1, low: 0 });
  assert.deepEqual(rotatedDirectory(100 * 9, 100, 3), { high: 0, low: 0 });
  const seen = new Set<string>();
  for (let at = 0; at < 2000; at++) {
    const name = encodeFileName({
      origin: 1,
      createdS: 1,
      sizeBytes: 1,
      crc32: at * 2654435761 % 2 ** 32,
      appender: false,
      random: at * 7919,
      digits: 0,
      extension: "",
    });
    const { high, low } = hashedDirectory(name, 16);
    assert(high >= 0 && high < 16 && low >= 0 && low < 16);
    seen.add(`${hexByte(high)}/${hexByte(low)}`);
  }
  assert(seen.size > 100, `${seen.size} of 256 directories used`);
});
