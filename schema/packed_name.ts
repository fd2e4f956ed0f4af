/**
 * The first 27 characters of a file name: 20 bytes in base64url, without
 * padding.
 *
 * Every thread that a file passes reads its name once, mostly with cold caches.
 * There the decoders of the platform cost several times what this loop does.
 *
 * @module
 */

/** Length of the bytes. */
export const PACKED_BYTES = 20;

const ALPHABET =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** Bits that the last character has beyond the last byte. */
const SPARE_BITS = 3;

const valueOf = new Uint8Array(128);
for (let value = 0; value < ALPHABET.length; value++) {
  valueOf[ALPHABET.charCodeAt(value)] = value;
}

/**
 * Decode a packed name.
 *
 * @param text 27 or more characters; those of base64url only.
 * @param into Takes {@linkcode PACKED_BYTES} bytes.
 * @returns `false` when these bytes are written in another way.
 */
export function unpackName(text: string, into: Uint8Array): boolean {
  for (let group = 0; group < 6; group++) {
    const from = 4 * group;
    const to = 3 * group;
    const bits = bitsAt(text, from) << 6 | sextet(text, from + 3);
    into[to] = bits >> 16;
    into[to + 1] = bits >> 8;
    into[to + 2] = bits;
  }
  const bits = bitsAt(text, 24);
  into[18] = bits >> 10;
  into[19] = bits >> 2;
  return (bits & SPARE_BITS) === 0;
}

/** Three characters, 18 bits. */
function bitsAt(text: string, from: number): number {
  return sextet(text, from) << 12 | sextet(text, from + 1) << 6 |
    sextet(text, from + 2);
}

function sextet(text: string, at: number): number {
  return valueOf[text.charCodeAt(at)] ?? 0;
}
