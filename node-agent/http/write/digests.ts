/**
 * Checksums that a client announces for its body, and their comparison.
 *
 * `Content-MD5` (RFC 1864), `Digest` (RFC 3230), `Content-Digest` and
 * `Repr-Digest` (RFC 9530). Algorithms that we do not know are ignored, as those
 * documents ask; a known one that is malformed is refused.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import type { Hash } from "node:crypto";
import { Problem } from "@kedge/schema";

/** An algorithm as node:crypto names it. */
export type DigestAlgorithm = "md5" | "sha1" | "sha256" | "sha512";

/** One checksum of the body as it is on the wire. */
export interface AnnouncedDigest {
  readonly algorithm: DigestAlgorithm;
  /** The checksum. */
  readonly value: Buffer;
  /** Header that said it. */
  readonly header: string;
}

const LENGTHS: Readonly<Record<DigestAlgorithm, number>> = {
  md5: 16,
  sha1: 20,
  sha256: 32,
  sha512: 64,
};
const NAMES: Readonly<Record<string, DigestAlgorithm>> = {
  "md5": "md5",
  "sha": "sha1",
  "sha-256": "sha256",
  "sha-512": "sha512",
};
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const ITEM = /^\s*([A-Za-z0-9-]{1,16})\s*=\s*(\S+)\s*$/;
const HEADER_LENGTH_MAX = 1024;

/**
 * Read every announced checksum.
 *
 * @param headers Of the request, or of a part of a form.
 * @throws {Problem} `invalid-request` for one that cannot be a checksum.
 */
export function announcedDigests(headers: Headers): AnnouncedDigest[] {
  const found: AnnouncedDigest[] = [];
  const md5 = headers.get("content-md5");
  if (md5 !== null) found.push(digestOf("md5", md5.trim(), "content-md5"));
  for (const header of ["digest", "content-digest", "repr-digest"]) {
    const text = headers.get(header);
    if (text !== null) found.push(...digestList(text, header));
  }
  return found;
}

function digestList(text: string, header: string): AnnouncedDigest[] {
  if (text.length > HEADER_LENGTH_MAX) throw malformed(header);
  return text.split(",").flatMap((item) => {
    const [match, name = "", value = ""] = ITEM.exec(item) ?? [];
    if (match === undefined) throw malformed(header);
    const key = name.toLowerCase();
    const algorithm = Object.hasOwn(NAMES, key) ? NAMES[key] : undefined;
    if (algorithm === undefined) return [];
    return [digestOf(algorithm, bare(value, header), header)];
  });
}

/** `Digest` has bare base64; the later two put it between colons. */
function bare(value: string, header: string): string {
  if (header === "digest") return value;
  if (!/^:.*:$/.test(value)) throw malformed(header);
  return value.slice(1, -1);
}

function digestOf(
  algorithm: DigestAlgorithm,
  base64: string,
  header: string,
): AnnouncedDigest {
  if (!BASE64.test(base64)) throw malformed(header);
  const value = Buffer.from(base64, "base64");
  if (value.length !== LENGTHS[algorithm]) throw malformed(header);
  return { algorithm, value, header };
}

function malformed(header: string): Problem {
  return new Problem("invalid-request", `The header ${header} is no checksum`, {
    issues: [{ path: header }],
  });
}

/** Computes what is needed to check announced checksums while bytes pass. */
export class DigestCheck {
  readonly #announced: readonly AnnouncedDigest[];
  readonly #hashes = new Map<DigestAlgorithm, Hash>();

  /** Prepare to check these. */
  constructor(announced: readonly AnnouncedDigest[]) {
    this.#announced = announced;
    for (const { algorithm } of announced) {
      if (!this.#hashes.has(algorithm)) {
        this.#hashes.set(algorithm, createHash(algorithm));
      }
    }
  }

  /** Whether anything was announced. */
  get isNeeded(): boolean {
    return this.#announced.length > 0;
  }

  /** The next bytes of the body. */
  update(bytes: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(bytes);
  }

  /**
   * Compare at the end of the body.
   *
   * @throws {Problem} `checksum-mismatch`, naming the header.
   */
  finish(): void {
    const values = new Map<DigestAlgorithm, Buffer>();
    for (const [name, hash] of this.#hashes) values.set(name, hash.digest());
    for (const { algorithm, value, header } of this.#announced) {
      const computed = values.get(algorithm);
      if (computed !== undefined && timingSafeEqual(computed, value)) continue;
      throw new Problem(
        "checksum-mismatch",
        `The body does not have the checksum that ${header} announced`,
        { header, algorithm },
      );
    }
  }
}
