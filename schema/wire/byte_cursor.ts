/**
 * Writing and reading the fields of a binary layout one after the other.
 *
 * Integers are big-endian; 64-bit ones are safe integers in memory, written as
 * two halves, since `BigInt` costs more than the rest of a record together. Texts
 * are UTF-8 behind their length in two bytes. A reader never reads past its end:
 * it throws {@linkcode CutOffError}, which decoders turn into a fault.
 *
 * @module
 */

const TWO_32 = 2 ** 32;
const TEXT_LENGTH_MAX = 0xffff;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes end before the field does, or a field is not what it must be. */
export class CutOffError extends Error {}

/** Writes fields into a buffer that grows. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  /** A writer with room for so many bytes at first. */
  constructor(capacity = 32) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Begin anew, keeping the buffer. */
  clear(): void {
    this.#length = 0;
  }

  /** What was written; valid until the next {@linkcode clear}. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** One byte. */
  u8(value: number): void {
    const at = this.#advance(1);
    this.#view.setUint8(at, value);
  }

  /** Four bytes. */
  u32(value: number): void {
    const at = this.#advance(4);
    this.#view.setUint32(at, value);
  }

  /**
   * Eight bytes.
   *
   * @throws {RangeError} When it is not a safe integer from 0.
   */
  u64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`Cannot encode ${value}: not a safe integer from 0`);
    }
    const at = this.#advance(8);
    this.#view.setUint32(at, Math.floor(value / TWO_32));
    this.#view.setUint32(at + 4, value % TWO_32);
  }

  /** Bytes as they are. */
  bytes(bytes: Uint8Array): void {
    const at = this.#advance(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /**
   * A text behind its length in two bytes.
   *
   * @throws {RangeError} When it is longer than 65,535 bytes.
   */
  text(text: string): void {
    const start = this.#advance(2);
    const at = this.#advance(text.length * 3);
    const length = writeText(text, this.#bytes, at);
    if (length > TEXT_LENGTH_MAX) {
      throw new RangeError(`Cannot encode a text of ${length} bytes`);
    }
    this.#length = at + length;
    this.#view.setUint16(start, length);
  }

  #advance(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) this.#grow();
    return at;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#length * 2);
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Reads fields from bytes. */
export class ByteReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at: number;
  #end: number;

  /** A reader of all of `bytes`. */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = 0;
    this.#end = bytes.length;
  }

  /** Bytes that are left before the limit. */
  get left(): number {
    return this.#end - this.#at;
  }

  /** Read no further than `count` bytes from here, until {@linkcode lift}. */
  limit(count: number): void {
    if (count > this.left) throw new CutOffError("cut off");
    this.#end = this.#at + count;
  }

  /** Take the limit away. */
  lift(): void {
    this.#end = this.#bytes.length;
  }

  /** One byte. */
  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  /** Four bytes. */
  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  /** Eight bytes; more than a safe integer is refused. */
  u64(): number {
    const at = this.#advance(8);
    const value = this.#view.getUint32(at) * TWO_32 +
      this.#view.getUint32(at + 4);
    if (!Number.isSafeInteger(value)) throw new CutOffError("too large");
    return value;
  }

  /** Bytes, not copied. */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    const at = this.#advance(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** A text; what is not UTF-8 is refused. */
  text(): string {
    const at = this.#advance(2);
    const bytes = this.bytes(this.#view.getUint16(at));
    try {
      return decoder.decode(bytes);
    } catch {
      throw new CutOffError("a text is not UTF-8");
    }
  }

  #advance(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw new CutOffError("cut off");
    this.#at = at + count;
    return at;
  }
}

/** Write a text; returns its length in bytes. ASCII is worth a loop. */
function writeText(text: string, into: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return encoder.encodeInto(text, into.subarray(at)).written;
    into[at + i] = code;
  }
  return text.length;
}
