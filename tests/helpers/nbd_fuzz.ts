/**
 * Conversations with an NBD server that are nearly right.
 *
 * A conversation is a list of parts, each a whole message; a mutation damages
 * the list or a part. Everything comes from one stream of random numbers, so a
 * seed and a number give the same bytes again.
 *
 * @module
 */

import { joined, optionBytes, requestBytes, u16, u32 } from "./nbd_raw.ts";
import type { Random } from "./random.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Numbers at which programs break. */
const EDGES = [
  ...[0, 1, 2, 3, 15, 16, 27, 28, 0x7f, 0xff, 512, 4095, 4096, 4097],
  ...[0xffff, 0x10000, 0x10001, 0x20000, 0x20001, 0x7fffffff, 0x80000000],
  ...[0xfffffffe, 0xffffffff, 0x02000000, 0x02000001, 0x49484156, 0x25609513],
];

/** Everything that a client says on one connection. */
export function conversation(random: Random, names: readonly string[]): Bytes {
  const parts = validParts(random, names);
  const count = random.pick([0, 1, 1, 1, 2, 3, 8]);
  for (let i = 0; i < count; i++) mutate(random, parts);
  return joined(parts);
}

function validParts(random: Random, names: readonly string[]): Bytes[] {
  const name = random.pick(names);
  const parts: Bytes[] = [u32(random.pick([3, 3, 3, 1, 0]))];
  for (let i = random.between(0, 4); i > 0; i--) {
    parts.push(anyOption(random, name));
  }
  if (random.next() < 0.6) parts.push(optionBytes(8));
  if (random.next() < 0.4) parts.push(contextOption(random, 10, name));
  parts.push(
    random.next() < 0.2 ? optionBytes(1, name) : infoOption(random, 7, name),
  );
  for (let i = random.between(0, 12); i > 0; i--) parts.push(request(random));
  if (random.next() < 0.5) parts.push(requestBytes({ type: 2 }));
  return parts;
}

function anyOption(random: Random, name: string): Bytes {
  const number = random.pick([3, 5, 6, 8, 9, 10, 11, 77]);
  if (number === 6) return infoOption(random, number, name);
  if (number === 9 || number === 10) {
    return contextOption(random, number, name);
  }
  const data = random.next() < 0.2
    ? random.bytes(random.between(0, 300))
    : random.bytes(0);
  return optionBytes(number, data);
}

function infoOption(random: Random, number: number, name: string): Bytes {
  const kinds = Array.from(
    { length: random.between(0, 4) },
    () => u16(random.between(0, 5)),
  );
  return optionBytes(
    number,
    ...[u32(name.length), name, u16(kinds.length), ...kinds],
  );
}

function contextOption(random: Random, number: number, name: string): Bytes {
  const queries = Array.from(
    { length: random.between(0, 3) },
    () => random.pick(["base:", "base:allocation", "x:y", "", ":"]),
  );
  return optionBytes(
    number,
    ...[u32(name.length), name, u32(queries.length)],
    ...queries.flatMap((query) => [u32(query.length), query]),
  );
}

function request(random: Random): Bytes {
  const type = random.pick([0, 0, 1, 1, 1, 3, 4, 5, 6, 7, 8]);
  const flags = random.next() < 0.7 ? 0 : random.between(0, 40);
  const length = random.next() < 0.9
    ? random.between(0, 9000)
    : random.between(0, 700_000);
  const offset = random.between(0, 1 << 20);
  const cookie = BigInt(random.between(0, 2 ** 32));
  const place = { type, flags, cookie, offset, length };
  if (type !== 1) {
    return requestBytes({ ...place, length: type === 3 ? 0 : length });
  }
  return requestBytes({ ...place, data: random.bytes(length) });
}

function mutate(random: Random, parts: Bytes[]): void {
  const at = random.between(0, Math.max(0, parts.length - 1));
  const part = parts[at] ?? u32(0);
  random.pick([
    () => parts.splice(at, 1),
    () => parts.splice(at, 0, part),
    () => parts.splice(at, 0, random.bytes(random.between(1, 64))),
    () => parts.reverse(),
    () => parts.splice(at, 1, part.slice(0, random.between(0, part.length))),
    () => parts.splice(at, 1, flipped(random, part)),
    () => parts.splice(at, 1, flipped(random, part)),
    () => parts.splice(at, 1, withEdge(random, part)),
    () => parts.splice(at, 1, withEdge(random, part)),
    () => parts.splice(at, 1, withEdge(random, part)),
    () => parts.splice(at), // the client goes away
  ])();
}

function flipped(random: Random, part: Bytes): Bytes {
  const bytes = part.slice();
  // Headers are in front: most damage belongs there.
  const near = Math.min(bytes.length, random.pick([4, 32, 64, bytes.length]));
  for (let i = random.between(1, 4); i > 0 && near > 0; i--) {
    const at = random.between(0, near - 1);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.between(0, 7));
  }
  return bytes;
}

function withEdge(random: Random, part: Bytes): Bytes {
  const bytes = part.slice();
  if (bytes.length < 4) return bytes;
  const last = Math.min(bytes.length - 4, 60);
  const at = random.between(0, last >> 1) * 2;
  new DataView(bytes.buffer).setUint32(at, random.pick(EDGES));
  return bytes;
}
