/**
 * X.509 certificates for a local cluster: an authority and a server. Pure: keys
 * come in, signatures are made by the caller. Source: RFC 5280 §4.1 and §4.2.
 *
 * @module
 */

import {
  bitString,
  type Der,
  explicit,
  implicit,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  unsigned,
  utf8,
  yes,
} from "./der.ts";

/** What both kinds of certificate have. */
export interface CertificateFacts {
  /** Random, 1 to 20 bytes, the first bit is cleared. */
  readonly serial: Uint8Array;
  /** Common name of the owner. */
  readonly subject: string;
  /** Common name of the signer; the same for an authority. */
  readonly issuer: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo of the owner, DER. */
  readonly publicKey: Uint8Array;
  /** Identifiers of the two keys: SHA-1 of anything, 20 bytes. */
  readonly keyId: Uint8Array;
  readonly issuerKeyId: Uint8Array;
}

/** Names that a server certificate is for. */
export interface ServerNames {
  readonly dns: readonly string[];
  /** 4 or 16 bytes each. */
  readonly ip: readonly Uint8Array[];
}

/** ecdsa-with-SHA256. */
const ALGORITHM = sequence(oid("1.2.840.10045.4.3.2"));

const OID = {
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

/** keyUsage bits, from the left: keyCertSign 5 and cRLSign 6; digitalSignature 0. */
const KEY_USAGE = {
  authority: bitString(Uint8Array.of(0b0000_0110), 1),
  server: bitString(Uint8Array.of(0b1000_0000), 7),
} as const;

/** What an authority signs about itself: it may sign servers, nothing else. */
export function authorityToSign(facts: CertificateFacts): Der {
  return toSign(facts, [
    extension(
      OID.basicConstraints,
      sequence(yes(), unsigned(Uint8Array.of(0))),
      true,
    ),
    extension(OID.keyUsage, KEY_USAGE.authority, true),
  ]);
}

/** What an authority signs about a server. */
export function serverToSign(facts: CertificateFacts, names: ServerNames): Der {
  const all = sequence(
    ...names.dns.map((name) => implicit(2, new TextEncoder().encode(name))),
    ...names.ip.map((address) => implicit(7, address)),
  );
  return toSign(facts, [
    extension(OID.basicConstraints, sequence(), true),
    extension(OID.keyUsage, KEY_USAGE.server, true),
    extension(OID.extKeyUsage, sequence(oid(OID.serverAuth))),
    extension(OID.subjectAltName, all),
  ]);
}

/**
 * The certificate.
 *
 * @param signed What was signed.
 * @param signature ECDSA with SHA-256, DER.
 */
export function certificate(signed: Der, signature: Uint8Array): Der {
  return sequence(signed, ALGORITHM, bitString(signature));
}

function toSign(facts: CertificateFacts, extensions: readonly Der[]): Der {
  return sequence(
    explicit(0, unsigned(Uint8Array.of(2))), // version 3
    unsigned(facts.serial),
    ALGORITHM,
    name(facts.issuer),
    sequence(time(facts.notBefore), time(facts.notAfter)),
    name(facts.subject),
    facts.publicKey,
    explicit(
      3,
      sequence(
        ...extensions,
        extension(OID.subjectKeyIdentifier, octetString(facts.keyId)),
        extension(
          OID.authorityKeyIdentifier,
          sequence(implicit(0, facts.issuerKeyId)),
        ),
      ),
    ),
  );
}

function name(commonName: string): Der {
  return sequence(setOf(sequence(oid(OID.commonName), utf8(commonName))));
}

function extension(id: string, value: Der, isCritical = false): Der {
  return sequence(
    oid(id),
    ...(isCritical ? [yes()] : []),
    octetString(value),
  );
}

/**
 * The bytes of an IP address.
 *
 * @returns 4 or 16 bytes, or `undefined` when the text is not an address.
 */
export function ipBytes(text: string): Uint8Array | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const bytes = text.split(".").map(Number);
    return bytes.every((byte) => byte < 256)
      ? Uint8Array.from(bytes)
      : undefined;
  }
  if (!text.includes(":") || !URL.canParse(`http://[${text}]`)) {
    return undefined;
  }
  // The URL parser writes the address in its shortest form, without dots.
  const short = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [left = "", right] = short.split("::");
  const words = (part: string) => part === "" ? [] : part.split(":");
  const tail = words(right ?? "");
  const head = words(left);
  const zeros = Array.from(
    { length: 8 - head.length - tail.length },
    () => "0",
  );
  const all = right === undefined ? head : [...head, ...zeros, ...tail];
  return Uint8Array.from(
    all.flatMap((word) => {
      const value = parseInt(word, 16);
      return [value >> 8, value & 0xff];
    }),
  );
}
