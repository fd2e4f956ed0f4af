import assert from "node:assert/strict";
import fc from "fast-check";
import type { BlockDevice, BlockExport } from "../block_ports.ts";
import { HandshakeCore, type HandshakeStep } from "./handshake_core.ts";

const device = { sizeBytes: 1 << 20 } as BlockDevice;
const disk: BlockExport = {
  ...{ name: "disk", description: "", device, readOnly: false },
  ...{ multiConn: true, minimumBlockBytes: 1, preferredBlockBytes: 4096 },
};
const exports = {
  list: () => [{ name: "disk", description: "" }],
  find: (name: string) => name === "disk" ? disk : undefined,
};
const limits = { optionBytesMax: 4096, optionsMax: 8 };

/** Everything said, and how it ended, when `input` comes in these portions. */
function converse(input: Uint8Array, portions: readonly number[]) {
  const core = new HandshakeCore(exports, limits);
  let buffer = new Uint8Array(0);
  let said = core.greeting().toHex();
  let rest = input;
  const sizes = [...portions, input.length];
  for (const size of sizes) {
    buffer = new Uint8Array([...buffer, ...rest.subarray(0, size)]);
    rest = rest.subarray(size);
    for (;;) {
      const { consumed, step } = core.next(buffer);
      assert.ok(consumed <= buffer.length);
      buffer = buffer.slice(consumed);
      const next: HandshakeStep = step.kind === "open"
        ? core.opened(undefined)
        : step;
      if (next.kind === "need-data") {
        assert.ok(next.bytes > buffer.length, "it must not ask for nothing");
        assert.ok(next.bytes <= limits.optionBytesMax + 16);
        break;
      }
      if (next.kind === "open") throw new Error("opened twice");
      said += next.bytes.toHex();
      if (next.kind !== "send") return { said, end: next.kind, buffer, rest };
    }
  }
  return { said, end: "open", buffer, rest };
}

const bytes = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));
const GO = "49484156454f5054 00000007 0000000a 00000004 6469736b 0000";
const LIST = "49484156454f5054 00000003 00000000";
const LONG = `49484156454f5054 00000003 00001001 ${"49".repeat(4097)}`;

Deno.test("HandshakeCore says the same however the bytes arrive", () => {
  const input = bytes(`00000003 ${LIST} ${LONG} ${LIST} ${GO} 2560951300`);
  const whole = converse(input, []);
  assert.equal(whole.end, "enter");
  const sizes = fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 40 });
  fc.assert(
    fc.property(sizes, (portions) => {
      const found = converse(input, portions);
      assert.equal(found.said, whole.said);
      assert.equal(found.end, whole.end);
      // What belongs to the transmission is left alone.
      const left = new Uint8Array([...found.buffer, ...found.rest]);
      assert.equal(left.toHex(), "2560951300");
    }),
    { numRuns: 30 },
  );
});

Deno.test("HandshakeCore survives any bytes, and always gets on", () => {
  const piece = fc.oneof(
    fc.constantFrom(bytes(LIST), bytes(GO), bytes("49484156454f5054")),
    fc.uint8Array({ maxLength: 40 }),
  );
  const pieces = fc.array(piece, { maxLength: 12 });
  fc.assert(fc.property(pieces, (noise) => {
    converse(new Uint8Array([0, 0, 0, 3, ...noise.flatMap((n) => [...n])]), []);
  }));
});

Deno.test("HandshakeCore tells in GO why an export cannot be opened", () => {
  const core = new HandshakeCore(exports, limits);
  core.next(bytes("00000003"));
  const { step } = core.next(bytes(GO));
  assert.equal(step.kind, "open");
  const refused = core.opened({ why: "held by another host" });
  assert.equal(refused.kind, "send");
  const text = refused.kind === "send" ? refused.bytes.subarray(20) : undefined;
  assert.equal(new TextDecoder().decode(text), "held by another host");
  // The handshake goes on: another GO is possible.
  assert.equal(core.next(bytes(GO)).step.kind, "open");
  assert.equal(core.opened(undefined).kind, "enter");
});
