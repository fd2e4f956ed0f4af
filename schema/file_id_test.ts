import assert from "node:assert/strict";
import fc from "fast-check";
import {
  derivedFileId,
  encodeFileId,
  encodeFileName,
  extensionOf,
  hexByte,
  isExtension,
  parseFileId,
  relativePath,
} from "./file_id.ts";

/** Real uploads to FastDFS. Source: fastdfs-protocol.md §6. */
const VECTORS = [
  // name, origin, createdS, sizeBytes, crc32, kind, extension
  [
    "03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt",
    "127.0.11.2",
    0x6b0293fc,
    14,
    0xfa9d1577,
    "normal",
    "txt",
  ],
  [
    "03/4C/fwALAWsCk_2AIiOyAAAADE95MY44573599",
    "127.0.11.1",
    0x6b0293fd,
    12,
    0x4f79318e,
    "normal",
    "",
  ],
  [
    "03/4C/fwALAmsCk_2AA8F7AExLQC_PR2U19.jpeg",
    "127.0.11.2",
    0x6b0293fd,
    5000000,
    0x2fcf4765,
    "normal",
    "jpeg",
  ],
  [
    "03/4C/fwALAWsCk_2AVPpcAAAAAYzcFoM.tar.gz",
    "127.0.11.1",
    0x6b0293fd,
    1,
    0x8cdc1683,
    "normal",
    "tar.gz",
  ],
  [
    "03/4C/fwALAWsCk_6AcIQXAAAAAAAAAAA363.dat",
    "127.0.11.1",
    0x6b0293fe,
    0,
    0,
    "normal",
    "dat",
  ],
  [
    "03/4C/fwALAmsClBkAAAABAAAABbHCoaM869.iso",
    "127.0.11.2",
    0x6b029419,
    4294967301,
    0xb1c2a1a3,
    "normal",
    "iso",
  ],
  [
    "03/4C/fwALAWsClBmEDUOvAAAAAPqdFXc488.txt",
    "127.0.11.1",
    0x6b029419,
    undefined,
    0xfa9d1577,
    "appender",
    "txt",
  ],
  [
    "03/4C/fwALAWsClBmABW-wAAAAGveHeyE488.txt",
    "127.0.11.1",
    0x6b029419,
    26,
    0xf7877b21,
    "normal",
    "txt",
  ],
  [
    "03/4C/fwALAmsClBqAHYs-AAAADvqdFXc450_big.txt",
    "127.0.11.2",
    0x6b02941a,
    undefined,
    0xfa9d1577,
    "derived",
    "txt",
  ],
  [
    "00/00/fwELAWsCjd2IMpk4AAAAZA_kmr0AAAAAQAAAAAAAAEA6241559",
    "127.1.11.1",
    0x6b028ddd,
    100,
    0x0fe49abd,
    "trunk",
    "",
  ],
  [
    "00/00/fwELAWsCjd6IEP75AAABLMukXo4AAAAAQAAAgAAAAIA3048978",
    "127.1.11.1",
    0x6b028dde,
    300,
    0xcba45e8e,
    "trunk",
    "",
  ],
  [
    "00/00/oYYBAGsCkVCAZk8GAAAAEs_4OsA5890955",
    100001,
    0x6b029150,
    18,
    0xcff83ac0,
    "normal",
    "",
  ],
  [
    "00/00/ooYBAGsCkVGAI5JyAAAAEuTVaQM2887917",
    100002,
    0x6b029151,
    18,
    0xe4d56903,
    "normal",
    "",
  ],
] as const;

for (const [path, origin, createdS, size, crc32, kind, ext] of VECTORS) {
  Deno.test(`parseFileId() reads ${path} as FastDFS does`, () => {
    const id = parseFileId(`group1/M00/${path}`);
    assert(id !== undefined);
    assert.equal(id.origin, origin);
    assert.equal(id.createdS, createdS);
    assert.equal(id.sizeBytes, size);
    assert.equal(id.crc32, crc32);
    assert.equal(id.kind, kind);
    assert.equal(id.extension, ext);
    assert.equal(relativePath(id), path);
    assert.equal(encodeFileId(id, id.name), `group1/M00/${path}`);
  });
}

Deno.test("encodeFileName() writes the names that FastDFS wrote", () => {
  for (const [path, origin, createdS, size, crc32, kind] of VECTORS) {
    if (kind === "derived" || kind === "trunk") continue;
    const name = path.slice(6);
    const bytes = Uint8Array.fromBase64(name.slice(0, 27) + "=", {
      alphabet: "base64url",
    });
    const random = new DataView(bytes.buffer).getUint32(8) & 0x7fffff;
    const [digits = "", extension = ""] = name.slice(27).split(/\.(.*)/);
    const appender = kind === "appender";
    const written = encodeFileName({
      origin,
      createdS,
      sizeBytes: size ?? 14,
      crc32,
      appender,
      random,
      digits: Number(digits),
      extension,
    });
    assert.equal(written, name);
  }
});

Deno.test("parseFileId() gives back what encodeFileId() was given", () => {
  const parts = fc.record({
    origin: fc.integer({ min: 1, max: 2 ** 24 - 1 }),
    createdS: fc.nat({ max: 0xffffffff }),
    sizeBytes: fc.oneof(
      fc.nat({ max: 0xffffffff }),
      fc.integer({ min: 2 ** 32, max: Number.MAX_SAFE_INTEGER }),
    ),
    crc32: fc.nat({ max: 0xffffffff }),
    appender: fc.boolean(),
    random: fc.nat({ max: 0x7fffff }),
    digits: fc.nat({ max: 9999999 }),
    extension: fc.stringMatching(/^[A-Za-z0-9._-]{0,6}$/),
  });
  const byte = fc.nat({ max: 255 });
  fc.assert(fc.property(parts, byte, byte, byte, (p, pathIndex, high, low) => {
    const name = encodeFileName(p);
    assert.equal(name.length, 34);
    const text = encodeFileId({ group: "g1", pathIndex, high, low }, name);
    const id = parseFileId(text);
    assert(id !== undefined, text);
    assert.equal(id.origin, p.origin);
    assert.equal(id.createdS, p.createdS);
    assert.equal(id.sizeBytes, p.appender ? undefined : p.sizeBytes);
    assert.equal(id.crc32, p.crc32);
    assert.equal(id.kind, p.appender ? "appender" : "normal");
    assert.equal(id.extension, p.extension);
    assert.deepEqual([id.pathIndex, id.high, id.low], [pathIndex, high, low]);
  }));
});

Deno.test("parseFileId() refuses everything that is not a file ID", () => {
  const good = "group1/M00/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt";
  assert(parseFileId(good) !== undefined);
  const hostile = [
    "",
    "/",
    good + "/",
    "/" + good,
    " " + good,
    good + "\n",
    good + "\0",
    good.replace("03/4C", "../.."),
    good.replace("03/4C", "%2e%2e/4C"),
    good.replace("03/4C", "03/4c"),
    good.replace("03/4C", "3/4C"),
    good.replace("03/4C", "03//4C"),
    good.replace("M00", "m00"),
    good.replace("M00", "M0"),
    good.replace("M00", "M0g"),
    good.replace("group1", "group1group1group1"),
    good.replace("group1", "gro-up"),
    good.replace("group1", ".."),
    good.replace("group1", ""),
    good.replace("323.txt", "323/txt"),
    good.replace("323.txt", "323\\txt"),
    good.replace("323.txt", "323%2e.x"),
    good.replace("323.txt", "323.tx\u0000"),
    good.replace("323.txt", "323.t\u0131t"),
    good.replace("323.txt", "abc.txt"),
    good.replace("323.txt", "323/.tx"),
    good.replace("323.txt", "323.tx"),
    good.replace("XC", "XD"), // bits that no encoder writes
    good.replace("Xc323", "Xd323"),
    good.replace("fwAL", "fw+L"),
    good + "_".repeat(60),
    "group1/M00/../../../../../../etc/passwd",
    "group1/M00/03/4C/" + "A".repeat(1_000_000),
    // A trunk name that is cut after its first 34 characters.
    "group1/M00/00/00/fwELAWsCjd2IMpk4AAAAZA_kmr06241559",
  ];
  for (const text of hostile) {
    if (text === good) continue;
    assert.equal(parseFileId(text), undefined, JSON.stringify(text));
  }
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assert.equal(parseFileId(text), undefined);
    assert.equal(parseFileId(`group1/M00/03/4C/${text}`), undefined);
  }));
});

Deno.test("parseFileId() takes an extension that begins with a dot", () => {
  // FastDFS 6.16.1 made this of "q..j".
  const id = "group1/M00/00/00/f00BC2sDZz-ALZZGAAAADPGQN487621..j";
  const parsed = parseFileId(id);
  assert.deepEqual([parsed?.extension, parsed?.sizeBytes], [".j", 12]);
  assert.equal(parsed && relativePath(parsed), id.slice("group1/M00/".length));
  const { pathname } = new URL(`http://host/${id}`);
  assert.equal(pathname, `/${id}`, "no client takes it for a folder");
  const slave = derivedFileId(id, "_s", ".j");
  assert.equal(slave, id.replace("..j", "_s..j"));
});

Deno.test("parseFileId() never yields a path outside the directories", () => {
  const name = fc.stringMatching(/^[A-Za-z0-9_./%-]{20,70}$/);
  fc.assert(fc.property(name, (text) => {
    const id = parseFileId(`group1/M00/00/00/${text}`);
    if (id === undefined) return;
    assert.match(relativePath(id), /^00\/00\/[A-Za-z0-9_-]{27}[^/]+$/);
  }));
});

Deno.test("derivedFileId() puts prefix and extension before the dot", () => {
  const at = "group1/M00/03/4C/";
  const master = at + "fwALAmsClBqAHYs-AAAADvqdFXc450.txt";
  const stem = at + "fwALAmsClBqAHYs-AAAADvqdFXc450";
  assert.equal(derivedFileId(master, "_big", "txt"), `${stem}_big.txt`);
  assert.equal(derivedFileId(master, "_thumbs", ""), `${stem}_thumbs`);
  const plain = at + "fwALAWsCk_2AIiOyAAAADE95MY44573599";
  assert.equal(derivedFileId(plain, "_big", "jpg"), `${plain}_big.jpg`);
  const trunk =
    "group1/M00/00/00/fwELAWsCjd2IMpk4AAAAZA_kmr0AAAAAQAAAAAAAAEA6241559";
  assert.equal(derivedFileId(trunk, "-s", "jpg"), `${trunk}-s.jpg`);
  const slave = `${stem}_big.txt`;
  assert.equal(derivedFileId(slave, "_s", "jpg"), `${stem}_big_s.jpg`);
});

Deno.test("derivedFileId() refuses what would not be a derived file", () => {
  const at = "group1/M00/03/4C/";
  const master = at + "fwALAmsClBqAHYs-AAAADvqdFXc450.txt";
  for (const prefix of ["", "a/b", "../x", "_".repeat(17), "\0", "ä"]) {
    assert.equal(derivedFileId(master, prefix, "jpg"), undefined);
  }
  assert.equal(derivedFileId(master, "_a", "../x"), undefined);
  assert.equal(derivedFileId(master, "_a", "toolong"), undefined);
  // 33 and 34 characters: it would be read as no ID, or as a master.
  const short = at + "fwALAWsCk_2AVPpcAAAAAYzcFoM.tar.gz";
  assert.equal(derivedFileId(short, "_s", "jpg"), undefined);
  assert.equal(derivedFileId(short, "_ss", "jpg"), undefined);
  let id: string | undefined = master;
  let lengthMax = 0;
  while (id !== undefined) {
    lengthMax = id.length;
    id = derivedFileId(id, "_0123456789abcde", "jpg");
  }
  assert(lengthMax <= "group1/".length + 127, "names of names come to an end");
});

Deno.test("extensionOf() takes extensions as FastDFS clients do", () => {
  const expected = {
    "b.tar.gz": "tar.gz",
    "a.jpg": "jpg",
    "a.jpeg": "jpeg",
    "noext": "",
    "dot.": "",
    ".bashrc": "bashrc",
    "a.template": "",
    "x.archive.gz": "gz",
    "photo..jpg": "jpg", // FastDFS: ".jpg"
    "a.jp\u0000": "",
    "a.../b": "",
    "": "",
  };
  for (const [name, extension] of Object.entries(expected)) {
    assert.equal(extensionOf(name), extension, name);
  }
  assert(isExtension("tar.gz") && !isExtension("") && !isExtension("a/b"));
});

Deno.test("encodeFileName() refuses what does not fit", () => {
  const good = {
    origin: 1,
    createdS: 1,
    sizeBytes: 1,
    crc32: 1,
    appender: false,
    random: 1,
    digits: 1,
    extension: "",
  };
  assert.throws(() => encodeFileName({ ...good, origin: 0 }), RangeError);
  assert.throws(() => encodeFileName({ ...good, origin: 2 ** 24 }), RangeError);
  assert.throws(() => encodeFileName({ ...good, origin: "1.2.3" }), RangeError);
  assert.throws(() => encodeFileName({ ...good, sizeBytes: -1 }), RangeError);
  assert.throws(() => encodeFileName({ ...good, extension: "a/b" }));
  assert.throws(() => hexByte(256), RangeError);
});
