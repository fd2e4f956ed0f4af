/**
 * A hole frees space, reads as zeroes and leaves its neighbours alone.
 *
 * @module
 */

import assert from "node:assert/strict";
import { HolePuncher } from "./hole_puncher.ts";

const path = await Deno.makeTempFile({ prefix: "kedge-hole-" });
const probe = HolePuncher.open(path);
Deno.writeFileSync(path, new Uint8Array(65_536).fill(1));
const can = probe?.punch(0, 4096) ?? false;
probe?.close();
await Deno.remove(path);

Deno.test({
  name: can ? "a hole reads as zeroes" : "a hole (skipped: no fallocate here)",
  ignore: !can,
  fn: async () => {
    const file = await Deno.makeTempFile({ prefix: "kedge-hole-" });
    try {
      Deno.writeFileSync(file, new Uint8Array(1 << 20).fill(7));
      const before = Deno.statSync(file).blocks ?? 0;
      const puncher = HolePuncher.open(file);
      assert.ok(puncher !== undefined);
      assert.ok(puncher.punch(8192, 512 * 1024));
      puncher.close();
      assert.equal(puncher.punch(0, 4096), false, "it is closed");
      const bytes = Deno.readFileSync(file);
      assert.equal(bytes.length, 1 << 20);
      const isZero = (at: number) => at >= 8192 && at < 8192 + 512 * 1024;
      assert.ok(bytes.every((byte, at) => byte === (isZero(at) ? 0 : 7)));
      assert.ok((Deno.statSync(file).blocks ?? 0) < before);
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test("a disk that is not there cannot be punched", () => {
  assert.equal(HolePuncher.open("/nonexistent/disk"), undefined);
});
