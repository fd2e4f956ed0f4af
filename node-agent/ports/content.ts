/**
 * Content on its way in: staged bytes, relays, edits, spans.
 *
 * @module
 */

/** Bytes that lie in this node's store but are not yet a file. */
export interface Staged {
  /** Name of the staging file below `PATH/data/.tmp/`, or "" when inline. */
  readonly token: string;
  /** Store path that it lies in, or is meant for. */
  readonly pathIndex: number;
  /** Length, in bytes. */
  readonly sizeBytes: number;
  /** CRC-32 of the bytes. */
  readonly crc32: number;
  /** SHA-256 of the bytes, in hex. */
  readonly sha256: string;
  /** The bytes themselves when at most `StageRequest.inlineBytesMax`. */
  readonly inline: Uint8Array | undefined;
}

/** Receives a copy of a large body while it arrives (cut-through). */
export interface Relay {
  /**
   * Take the next bytes; resolves when they are not used any more
   * (back-pressure). Never throws.
   *
   * @param bytes Must not be changed until then.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** The body is complete; peers that took all of it need no second transfer. */
  finish(): Promise<void>;
  /** The body will not be used. */
  abort(): void;
}

/** What to stage. */
export interface StageRequest {
  /**
   * The bytes: a whole buffer, or a stream read once, whose pieces belong to
   * the store from then on.
   */
  readonly body: Uint8Array | ReadableStream<Uint8Array>;
  /** Most bytes to take; one more is `too-large`. */
  readonly sizeBytesMax: number;
  /** Expected length, in bytes, for the check against the reserve. */
  readonly sizeBytes?: number | undefined;
  /**
   * Longest body that is to travel in its record, in bytes;
   * `INLINE_BODY_BYTES_MAX` when missing. More is good for new files alone, up to
   * `RECORD_BODY_BYTES_MAX`.
   */
  readonly inlineBytesMax?: number | undefined;
  /** Store path wanted by the tracker; the store's policy when missing. */
  readonly pathIndex?: number | undefined;
  /**
   * Gets a copy of bodies too large to be inline. Whoever stages finishes it at
   * the end of the body, or aborts it; the caller does neither.
   */
  readonly relay?: Relay | undefined;
  /**
   * Flush a large body before {@linkcode LocalFiles.stage} resolves, so that no
   * other record waits for it in the log. For changes at level C.
   */
  readonly durable?: boolean | undefined;
}

/** A change of a part of a file, as `LocalFiles.foresee` takes it. */
export type ContentEdit =
  /** Staged bytes go to `offset`; at the end of the file it is an append. */
  | {
    readonly kind: "range";
    readonly offset: number;
    readonly staged: Staged;
  }
  /** The file is cut, or extended with zeros. */
  | { readonly kind: "truncate"; readonly sizeBytes: number };

/** The bytes of a change that this node makes or receives. */
export type ContentSource =
  | { readonly kind: "none" }
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "staged"; readonly staged: Staged };

/** A part of a file to read, in bytes; whole file when missing. */
export interface ByteSpan {
  readonly from: number;
  readonly lengthBytes: number;
}

/**
 * Gives room for content that is read whole: exactly so many bytes. Who reads
 * may leave it unused, and may ask twice; what is returned lies in the last one
 * that was given, or elsewhere.
 */
export type ReadRoom = (lengthBytes: number) => Uint8Array<ArrayBuffer>;
