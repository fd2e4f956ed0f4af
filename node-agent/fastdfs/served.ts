/**
 * What became of one request: for the statistics and the access log.
 *
 * @module
 */

/** One request that came to its end. */
export interface Served {
  /** Address of the client, without its port. */
  readonly client: string;
  readonly command: number;
  /** 0 or an errno; 104 (`ECONNRESET`) when the client left or was cut off. */
  readonly status: number;
  /** The file ID that was named or made, if any: `group1/M00/…`. */
  readonly file: string;
  /** Header and body that were announced. */
  readonly requestBytes: number;
  /** Header and body of the answer. */
  readonly responseBytes: number;
  /** Content of a file among them, in either direction. */
  readonly contentBytes: number;
  /** From its header to its answer, in ms. */
  readonly tookMs: number;
}

/** Status of a request whose client was gone before its answer. */
export const CLIENT_GONE = 104;

/** Is told of every request. Must not throw, and must not take time. */
export type Observer = (served: Served) => void;
