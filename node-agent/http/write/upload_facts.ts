/**
 * What an upload says about its file, beside the bytes.
 *
 * @module
 */

import { Level, Problem } from "@kedge/schema";
import type { CapabilityClaims } from "@kedge/schema/capability";
import type { FileMeta } from "@kedge/schema/change";
import { extensionOf, isExtension } from "@kedge/schema/file-id";
import { refusal } from "../authorize.ts";
import { storedType } from "../read/content_type.ts";
import {
  decodeSegment,
  fileName,
  idempotencyKey,
  invalid,
  metaFromHeaders,
} from "./user_text.ts";

/** Facts about a new file. */
export interface UploadFacts {
  /** Original name. */
  readonly name: string | null;
  /** Stored content type; `null` lets the extension decide. */
  readonly type: string | null;
  /** Extension for the file ID; `undefined` is taken from the name. */
  readonly extension: string | undefined;
  /** Level asked for; `undefined` is the group's setting. */
  readonly level: Level | undefined;
  /** Whether the file may be appended to. */
  readonly appender: boolean;
  /** SHA-256 that the content must have, in hex. */
  readonly sha256: string | undefined;
  /** User metadata. */
  readonly meta: FileMeta;
  /** Key under which a retry gets the same file. */
  readonly idempotencyKey: string | undefined;
}

/** Where the facts are read from. */
export interface UploadSource {
  readonly headers: Headers;
  readonly query: URLSearchParams;
  /** Name in the path, undecoded; "" when there is none. */
  readonly name: string;
  readonly claims: CapabilityClaims;
}

/** Facts that a form carries in its small fields, and in its file part. */
export interface FormFacts {
  readonly fields: ReadonlyMap<string, string>;
  readonly fileName: string | undefined;
  readonly type: string | undefined;
}

const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Read and check the facts that come before the body.
 *
 * @throws {Problem} `invalid-request` naming the field, `bad-capability`,
 * `unsupported-media-type`.
 */
export function uploadFacts(source: UploadSource): UploadFacts {
  const { headers, query, claims } = source;
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new Problem(
      "unsupported-media-type",
      "Content-Encoding is not understood: send the bytes as they are",
    );
  }
  const type = storedType(headers.get("content-type"));
  if (type === undefined) throw invalid("content-type", "is malformed");
  const given = source.name === ""
    ? query.get("name") ?? ""
    : decodeSegment(source.name);
  return {
    name: fileName(given),
    type,
    extension: extensionGiven(query.get("ext")),
    level: levelGiven(
      [headers.get("x-kedge-level"), query.get("level")],
      claims,
    ),
    appender: isYes("appender", query.get("appender")),
    sha256: sha256Given([headers.get("x-kedge-sha256")], claims),
    meta: metaFromHeaders(headers),
    idempotencyKey: idempotencyKey(headers.get("idempotency-key")),
  };
}

/**
 * Add what a form said; the path and the headers win over it.
 *
 * @throws {Problem} As {@linkcode uploadFacts}.
 */
export function withForm(
  facts: UploadFacts,
  form: FormFacts,
  claims: CapabilityClaims,
): UploadFacts {
  const { fields } = form;
  const field = (name: string) => fields.get(name) ?? null;
  const type = storedType(form.type ?? null);
  if (type === undefined) throw invalid("file", "has a malformed content type");
  return {
    ...facts,
    name: facts.name ?? fileName(field("name") ?? form.fileName ?? ""),
    type,
    extension: facts.extension ?? extensionGiven(field("ext")),
    level: facts.level ?? levelGiven([field("level")], claims),
    appender: facts.appender || isYes("appender", field("appender")),
    sha256: facts.sha256 ?? sha256Given([field("sha256")], claims),
  };
}

/** The extension of a file ID, by FastDFS's rule where none was given. */
export function extensionFor(facts: UploadFacts): string {
  return facts.extension ?? extensionOf(facts.name ?? "");
}

/**
 * The level that a request asks for.
 *
 * @param given Texts that may name it; `null` is missing.
 * @throws {Problem} `invalid-request`, or `bad-capability` when the capability
 * fixes another level.
 */
export function levelGiven(
  given: readonly (string | null)[],
  claims: CapabilityClaims,
): Level | undefined {
  let level: Level | undefined = claims.l;
  for (const text of given) {
    if (text === null) continue;
    const parsed = Level.safeParse(text.toUpperCase());
    if (!parsed.success) throw invalid("level", "must be A, B or C");
    if (claims.l !== undefined && claims.l !== parsed.data) {
      throw refusal("wrong-level");
    }
    level ??= parsed.data;
  }
  return level;
}

/**
 * The hash that the content must have.
 *
 * @param given Texts that may name it, in hex; `null` is missing.
 * @throws {Problem} `invalid-request`, or `bad-capability` when the capability
 * names another hash.
 */
export function sha256Given(
  given: readonly (string | null)[],
  claims: CapabilityClaims,
): string | undefined {
  let sha256 = claims.h;
  for (const text of given) {
    if (text === null) continue;
    const hex = text.trim().toLowerCase();
    if (!SHA256.test(hex)) throw invalid("sha256", "is not 64 hex digits");
    if (claims.h !== undefined && claims.h !== hex) throw refusal("wrong-hash");
    sha256 ??= hex;
  }
  return sha256;
}

/**
 * An extension that a client chose for the file ID.
 *
 * @throws {Problem} `invalid-request` when a file ID cannot hold it.
 */
export function extensionGiven(text: string | null): string | undefined {
  if (text === null) return undefined;
  if (text === "" || isExtension(text)) return text;
  throw invalid("ext", "must be 1 to 6 letters, digits, dots or dashes");
}

function isYes(name: string, text: string | null): boolean {
  if (text === null || text === "0" || text === "false") return false;
  if (text === "1" || text === "true" || text === "") return true;
  throw invalid(name, "must be 1 or 0");
}
