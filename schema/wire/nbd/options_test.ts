import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeInfoRequest,
  decodeMetaContextRequest,
  encodeExportNameAnswer,
  encodeInfoBlockSize,
  encodeInfoExport,
  encodeInfoText,
  encodeMetaContext,
  encodeServer,
  NbdInfo,
} from "./option_data.ts";
import {
  decodeClientFlags,
  decodeNbdString,
  decodeOptionHeader,
  encodeGreeting,
  encodeNbdString,
  encodeOptionReply,
  NbdOption,
  NbdReply,
} from "./options.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));

Deno.test("layouts: golden bytes", () => {
  const facts = { sizeBytes: 0x1_0203_0405, flags: 0x016d };
  const sizes = { minimum: 512, preferred: 4096, maximum: 1 << 25 };
  const cases: [Uint8Array, string][] = [
    [encodeGreeting(), "4e42444d41474943 49484156454f5054 0003"],
    [
      encodeOptionReply(NbdOption.GO, NbdReply.ERR_POLICY, hex("6e6f")),
      "0003e889045565a9 00000007 80000002 00000002 6e6f",
    ],
    [encodeInfoExport(facts), "0000 0000000102030405 016d"],
    [encodeInfoBlockSize(sizes), "0003 00000200 00001000 02000000"],
    [encodeInfoText(NbdInfo.NAME, "dä"), "0001 64c3a4"],
    [encodeInfoText(NbdInfo.DESCRIPTION, ""), "0002"],
    [encodeServer("d", "ef"), "00000001 64 6566"],
    [encodeMetaContext(7, "b:a"), "00000007 623a61"],
    [encodeExportNameAnswer(facts, true), "0000000102030405 016d"],
    [
      encodeExportNameAnswer(facts, false),
      "0000000102030405 016d" + "00".repeat(124),
    ],
  ];
  for (const [bytes, golden] of cases) {
    assert.equal(bytes.toHex(), golden.replaceAll(" ", ""));
  }
});

Deno.test("decodeClientFlags() refuses what was not offered", () => {
  assert.deepEqual(decodeClientFlags(hex("00000003")), { noZeroes: true });
  assert.deepEqual(decodeClientFlags(hex("00000001")), { noZeroes: false });
  for (let bit = 2; bit < 32; bit++) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, 2 ** bit);
    assert.equal(decodeClientFlags(bytes), undefined, `bit ${bit}`);
  }
});

Deno.test("decodeOptionHeader() takes the right magic only", () => {
  const good = hex("49484156454f5054 00000007 fffffffe");
  const header = { option: 7, lengthBytes: 0xfffffffe };
  assert.deepEqual(decodeOptionHeader(good), header);
  for (let i = 0; i < 64; i++) {
    const bad = good.slice();
    bad[i >> 3] = (bad[i >> 3] ?? 0) ^ (1 << (i & 7));
    assert.equal(decodeOptionHeader(bad), undefined);
  }
});

Deno.test("strings: no NUL, no broken UTF-8, at most 4096 bytes", () => {
  assert.equal(decodeNbdString(hex("64c3a4")), "dä");
  assert.equal(decodeNbdString(hex("")), "");
  assert.equal(decodeNbdString(hex("6400")), undefined);
  assert.equal(decodeNbdString(hex("c328")), undefined);
  assert.equal(decodeNbdString(new Uint8Array(4096).fill(97))?.length, 4096);
  assert.equal(decodeNbdString(new Uint8Array(4097).fill(97)), undefined);
  // A character is never cut in two.
  assert.equal(encodeNbdString("a" + "ä".repeat(3000)).length, 4095);
});

Deno.test("INFO and context data: any cut, and any byte more, is malformed", () => {
  const info = hex("00000004 6469736b 0002 0003 0001");
  const context = hex("00000004 6469736b 00000002 00000001 61 00000002 6263");
  assert.deepEqual(decodeInfoRequest(info), {
    name: "disk",
    kinds: new Set([3, 1]),
  });
  assert.deepEqual(decodeMetaContextRequest(context), {
    name: "disk",
    queries: ["a", "bc"],
  });
  for (
    const [bytes, decode] of [
      [info, decodeInfoRequest],
      [context, decodeMetaContextRequest],
    ] as const
  ) {
    for (let to = 0; to < bytes.length; to++) {
      assert.equal(decode(bytes.subarray(0, to)), undefined, `${to} bytes`);
    }
    assert.equal(decode(new Uint8Array([...bytes, 0])), undefined);
  }
});

Deno.test("decoders never throw, whatever they get", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
    const bytes = new Uint8Array(noise);
    decodeInfoRequest(bytes);
    decodeMetaContextRequest(bytes);
    decodeNbdString(bytes);
  }));
});
