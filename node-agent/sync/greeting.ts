/**
 * The first second of a connection: both sides say who they are and prove that
 * they know the cluster secret. Nothing else is read before.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { GroupName, NodeId } from "@kedge/schema";
import type { Frame, FrameKind } from "@kedge/schema/wire/frame";
import { isProven, prove } from "@kedge/schema/wire/handshake";
import {
  Challenge,
  decodeText,
  encodeText,
  Hello,
  Proof,
  Refusal,
  SYNC_VERSION,
} from "@kedge/schema/wire/sync";
import type { z } from "zod";
import type { FrameLink } from "./frame_link.ts";

/** Longest time for all of it, in milliseconds. */
export const GREETING_MS_MAX = 2000;

/** Who this process is towards its peers. */
export interface LinkIdentity {
  readonly node: NodeId;
  readonly group: GroupName;
  /** Identity of our database. */
  readonly store: string;
  /** Made anew by every process. */
  readonly boot: string;
  /**
   * What this node and a peer prove to each other; `undefined` before a tracker
   * has told. Never logged.
   */
  secretOf(peer: NodeId): string | undefined;
}

/** Who the peer has proven to be. */
export interface GreetedPeer {
  readonly node: NodeId;
  readonly store: string;
  readonly boot: string;
  readonly purpose: Hello["purpose"];
}

/** Why a peer may not speak with us, or `undefined` when it may. */
export type Admit = (hello: Hello) => Refusal | undefined;

/** The greeting failed; the link is closed, the message says why. */
export class GreetingError extends Error {}

/**
 * Greet the node that we have dialled.
 *
 * @throws {GreetingError} The link is closed then.
 */
export async function greetAsDialer(
  link: FrameLink,
  me: LinkIdentity,
  call: { readonly to: NodeId; readonly purpose: Hello["purpose"] },
): Promise<GreetedPeer> {
  const stop = limitTime(link);
  try {
    const hello: Hello = {
      version: SYNC_VERSION,
      node: me.node,
      to: call.to,
      group: me.group,
      store: me.store,
      boot: me.boot,
      purpose: call.purpose,
      nonce: newNonce(),
    };
    const secret = secretFor(link, me, call.to);
    say(link, "hello", hello);
    const { mac, ...challenge } = await hear(link, "challenge", Challenge);
    const transcript = { hello, challenge };
    if (challenge.version !== SYNC_VERSION) {
      throw refuse(link, "version", versionText(challenge.version));
    }
    if (
      challenge.node !== call.to ||
      !isProven(mac, secret, "acceptor", transcript)
    ) throw refuse(link, "protocol", SECRET_TEXT);
    say(link, "proof", { mac: prove(secret, "dialer", transcript) });
    link.trust();
    const { node, store, boot } = challenge;
    return { node, store, boot, purpose: call.purpose };
  } finally {
    stop();
  }
}

/**
 * Greet a node that has dialled us.
 *
 * @param admit Asked before we answer, and only with what the peer claims.
 * @throws {GreetingError} The link is closed then.
 */
export async function greetAsAcceptor(
  link: FrameLink,
  me: LinkIdentity,
  admit: Admit,
): Promise<GreetedPeer> {
  const stop = limitTime(link);
  try {
    const hello = await hear(link, "hello", Hello);
    if (hello.version !== SYNC_VERSION) {
      throw refuse(link, "version", versionText(hello.version));
    }
    if (hello.group !== me.group) {
      throw refuse(link, "group", `this is a node of group ${me.group}`);
    }
    if (hello.to !== me.node) {
      throw refuse(link, "wrong-node", `this is node ${me.node}`);
    }
    const refusal = hello.node === me.node
      ? { reason: "wrong-node" as const, detail: "you are this node" }
      : admit(hello);
    if (refusal !== undefined) {
      throw refuse(link, refusal.reason, refusal.detail);
    }
    const challenge = {
      version: SYNC_VERSION,
      node: me.node,
      store: me.store,
      boot: me.boot,
      nonce: newNonce(),
    };
    const transcript = { hello, challenge };
    const secret = secretFor(link, me, hello.node);
    const mac = prove(secret, "acceptor", transcript);
    say(link, "challenge", { ...challenge, mac });
    const proof = await hear(link, "proof", Proof);
    if (!isProven(proof.mac, secret, "dialer", transcript)) {
      throw refuse(link, "protocol", SECRET_TEXT);
    }
    link.trust();
    const { node, store, boot, purpose } = hello;
    return { node, store, boot, purpose };
  } finally {
    stop();
  }
}

const SECRET_TEXT =
  "the proof is wrong: both nodes must be members of the same cluster";

/** @throws {GreetingError} When no tracker has told what to prove. */
function secretFor(link: FrameLink, me: LinkIdentity, peer: NodeId): string {
  const secret = me.secretOf(peer);
  if (secret !== undefined) return secret;
  throw refuse(link, "protocol", `no tracker has told the key of node ${peer}`);
}

function versionText(theirs: number): string {
  return `this node speaks version ${SYNC_VERSION}, the peer ${theirs}: upgrade the older one`;
}

function say(link: FrameLink, kind: FrameKind, body: unknown): void {
  link.send({ kind, epoch: 0, parts: [encodeText(body)] });
}

async function hear<T>(
  link: FrameLink,
  kind: FrameKind,
  schema: z.ZodType<T>,
): Promise<T> {
  const frame = await link.receive();
  if (frame === undefined) {
    throw new GreetingError(link.closedWhy ?? "the connection ended");
  }
  if (frame.kind === "refusal") throw refusedBy(link, frame);
  if (frame.kind !== kind) {
    throw refuse(link, "protocol", `expected ${kind}, got ${frame.kind}`);
  }
  const decoded = decodeText(schema, frame.body);
  if (!decoded.ok) throw refuse(link, "protocol", `${kind}: ${decoded.fault}`);
  return decoded.value;
}

function refusedBy(link: FrameLink, frame: Frame): GreetingError {
  const decoded = decodeText(Refusal, frame.body);
  const why = decoded.ok
    ? `the peer refused: ${printable(decoded.value.detail)}`
    : "the peer refused";
  link.close(why);
  return new GreetingError(why);
}

/** Say why, close once that is written, and give the error to throw. */
function refuse(
  link: FrameLink,
  reason: Refusal["reason"],
  detail: string,
): GreetingError {
  const refusal: Refusal = { reason, detail };
  link.send({ kind: "refusal", epoch: 0, parts: [encodeText(refusal)] });
  link.end(detail);
  return new GreetingError(detail);
}

function limitTime(link: FrameLink): () => void {
  const timer = setTimeout(
    () => link.close(`the greeting took longer than ${GREETING_MS_MAX} ms`),
    GREETING_MS_MAX,
  );
  return () => clearTimeout(timer);
}

function newNonce(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32)))
    .toString("base64url");
}

/** A peer's words for our log: one line of visible characters. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 300);
}
