/**
 * Malformed conversations with a FastDFS server, each made from a seed.
 *
 * Most begin as something valid and have a few bytes, a length or an end spoilt:
 * what is wrong everywhere is refused at the first byte.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  downloadBody,
  field,
  head,
  named,
  nameOf,
  u64,
  uploadBody,
} from "./fastdfs_raw.ts";
import type { Random } from "./random.ts";

/** What the packets may be about. */
export interface FuzzFiles {
  readonly normal: string;
  readonly appender: string;
}

/** Lengths at which programs break. */
const LENGTHS = [
  ...[0n, 1n, 9n, 15n, 16n, 38n, 127n, 128n, 143n, 144n, 4096n, 65_536n],
  ...[2n ** 20n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 40n, 2n ** 53n],
  ...[2n ** 62n, 2n ** 63n - 1n, -1n, -10n, -(2n ** 63n)],
];

/** The bytes of one conversation. */
export function conversation(random: Random, files: FuzzFiles): Buffer {
  const count = random.between(1, 4);
  const packets = Array.from({ length: count }, () => packet(random, files));
  const bytes = Buffer.concat(packets);
  const isCut = random.next() < 0.2;
  return isCut ? bytes.subarray(0, random.between(0, bytes.length)) : bytes;
}

function packet(random: Random, files: FuzzFiles): Buffer {
  const [command, body] = random.pick(templates(random, files));
  const bytes = Buffer.concat([head(body.length, command), body]);
  switch (random.between(0, 6)) {
    case 0: // as it is
      return bytes;
    case 1: // another length of the body
      bytes.writeBigInt64BE(random.pick(LENGTHS), 0);
      return bytes;
    case 2: // another length inside
      if (body.length >= 8) {
        const at = random.pick(
          [0, 1, 8, 16].filter((n) => n + 8 <= body.length),
        );
        bytes.writeBigInt64BE(random.pick(LENGTHS), 10 + at);
      }
      return bytes;
    case 3: // another command
      bytes[8] = random.between(0, 255);
      return bytes;
    case 4: // a body of another length, and the header says so
      return resized(random, command, body);
    case 5: // noise
      return Buffer.from(random.bytes(random.between(1, 600)));
    default:
      return spoilt(random, bytes);
  }
}

function resized(random: Random, command: number, body: Buffer): Buffer {
  const length = random.between(0, body.length + 64);
  const other = Buffer.alloc(length, random.between(0, 255));
  body.copy(other);
  return Buffer.concat([head(length, command), other]);
}

function spoilt(random: Random, bytes: Buffer): Buffer {
  for (let n = random.between(1, 8); n > 0; n--) {
    // The length stays: a server that waits for more learns nothing.
    const at = random.between(8, bytes.length - 1);
    bytes[at] = random.between(0, 255);
  }
  return bytes;
}

function templates(
  random: Random,
  { normal, appender }: FuzzFiles,
): [number, Buffer][] {
  const content = Buffer.from(random.bytes(random.between(0, 3000)));
  const id = random.pick([normal, appender, normal.slice(0, -9)]);
  const name = nameOf(id);
  const group = field("group1", 16);
  const sizes = [u64(name.length), u64(content.length)];
  return [
    [11, uploadBody(content)],
    [23, uploadBody(content, { ext: "txt", path: random.between(0, 3) })],
    [14, downloadBody(id, random.between(0, 20), random.between(0, 20))],
    [15, named(id)],
    [22, named(id)],
    [
      21,
      Buffer.concat([
        ...sizes,
        field(`_${random.between(0, 9999)}`, 16),
        field("jpg", 6),
        name,
        content,
      ]),
    ],
    [24, Buffer.concat([...sizes, nameOf(appender), content])],
    [
      34,
      Buffer.concat([
        u64(nameOf(appender).length),
        u64(random.between(0, 9)),
        u64(content.length),
        nameOf(appender),
        content,
      ]),
    ],
    [
      13,
      Buffer.concat([
        u64(name.length),
        u64(7),
        Buffer.from(random.pick(["O", "M", "X"])),
        named(id),
        Buffer.from("a\x02b\x01c\x02d"),
      ]),
    ],
    [36, Buffer.concat([...sizes, nameOf(appender)])],
    [38, nameOf(id)],
    // Never a whole name: what is not named must stay.
    [12, named(normal.slice(0, random.between(7, normal.length - 1)))],
    [20, Buffer.concat([...sizes, named(id)])],
    [90, group],
    [91, Buffer.alloc(0)],
    [96, Buffer.from(random.bytes(3))],
    [98, Buffer.from(random.bytes(4))],
    [108, group],
    [70, Buffer.concat([group, Buffer.from("127.0.0.1:23000")])],
    [71, Buffer.concat([group, Buffer.from("[::1]:23000")])],
    [101, Buffer.alloc(0)],
    [104, group],
    [102, named(id)],
    [105, named(id)],
    [92, Buffer.concat([group, Buffer.from("127.0.0.1")])],
    [93, Buffer.concat([group, Buffer.from("1")])],
    [97, Buffer.from(random.bytes(4))],
    [69, Buffer.from(random.bytes(5))],
    [81, Buffer.alloc(145, 1)],
    [random.between(0, 255), Buffer.alloc(0)],
  ];
}
