/**
 * Changes that another node must make, because it owns the file: asked for
 * through its HTTP door, with a capability that this node signs. For doors whose
 * clients cannot be sent on.
 *
 * @module
 */

import { Problem, PROBLEMS, type ProblemSlug } from "@kedge/schema";
import type { NodeId, SigningKey } from "@kedge/schema";
import { signCapability } from "@kedge/schema/capability";
import type { CapabilityAction } from "@kedge/schema/capability";
import type { FileContent, IncomingBytes } from "../../operation_ports.ts";
import type { ByteSpan } from "../../ports.ts";
import type { AgentHttpDeps } from "../deps.ts";
import { limitsOf } from "../deps.ts";
import { SENT_ON } from "../elsewhere.ts";
import { Patience } from "./patience.ts";

/** Life of the capability, in ms: one request. */
const LIFE_MS = 60_000;
/** A key that is older than this is known to every node, in ms. */
const KEY_SPREAD_MS = 60_000;
/** Longest answer that is read, in bytes. */
const ANSWER_BYTES_MAX = 64 * 1024;

/** What is asked of the owner. */
export interface OwnerRequest {
  readonly owner: NodeId;
  /** The file that is changed, or the master. */
  readonly id: string;
  readonly action: CapabilityAction;
  readonly method: "POST" | "PUT" | "PATCH";
  /** After `/v1/files/ID`, with its query. */
  readonly path: string;
  /** Bytes, or what is sent as JSON. */
  readonly bytes?: IncomingBytes | undefined;
  readonly json?: unknown;
}

/**
 * Ask the owner.
 *
 * @returns Its answer, parsed.
 * @throws {Problem} The owner's own, or `unavailable` when it was not reached.
 * A change whose answer is lost, or does not come, may have been made:
 * `uncertain`.
 */
export async function askOwner(
  deps: AgentHttpDeps,
  request: OwnerRequest,
): Promise<unknown> {
  const { owner, id, method } = request;
  const url = deps.replicator.peers()
    .find(({ node }) => node === owner)?.url.replace(/\/+$/, "");
  if (deps.fetchPeer === undefined || url === undefined || url === "") {
    throw new Problem("unavailable", `Node ${owner} is not known here`);
  }
  const headers = new Headers({ authorization: authorization(deps, request) });
  const patience = patienceOf(deps);
  const body = bodyOf(request, headers, patience);
  let response: Response;
  try {
    patience.start();
    const target = `${url}/v1/files/${id}${request.path}`;
    response = await deps.fetchPeer(target, {
      method,
      headers,
      // An owner that is none any more sends us on: nothing was changed.
      redirect: "manual",
      signal: patience.signal,
      ...(body === undefined ? {} : { body }),
    });
    return answerOf(response, await readAnswer(response));
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem("uncertain", `Node ${owner} did not answer`);
  } finally {
    patience.stop();
  }
}

/**
 * The content of a file that a peer has and that cannot be kept here.
 *
 * @param url Of the file at that peer.
 * @throws {Problem} `unavailable`.
 */
export async function readFromPeer(
  deps: AgentHttpDeps,
  url: string,
  span: ByteSpan | undefined,
): Promise<FileContent> {
  const headers: Record<string, string> = span === undefined
    ? {}
    : { range: `bytes=${span.from}-${span.from + span.lengthBytes - 1}` };
  // It must answer by itself, not send us on.
  const patience = patienceOf(deps);
  patience.start();
  const response = await deps.fetchPeer?.(`${url}?${SENT_ON}=1`, {
    headers,
    redirect: "error",
    signal: patience.signal,
  }).catch(() => undefined).finally(() => patience.stop());
  const wanted = span === undefined ? 200 : 206;
  if (response?.status === wanted && response.body !== null) {
    return patience.incoming(response.body);
  }
  await response?.body?.cancel();
  throw new Problem("unavailable", "The peer that has the file did not answer");
}

function patienceOf(deps: AgentHttpDeps): Patience {
  const { peerSilentMs, bodyBytesPerSecondMin } = limitsOf(deps);
  const limits = {
    silentMs: peerSilentMs,
    bytesPerSecondMin: bodyBytesPerSecondMin,
  };
  return new Patience(limits, deps.clock);
}

function bodyOf(
  { bytes, json }: OwnerRequest,
  headers: Headers,
  patience: Patience,
): BodyInit | undefined {
  if (json !== undefined) {
    headers.set("content-type", "application/json");
    return JSON.stringify(json);
  }
  if (bytes === undefined) return undefined;
  headers.set("content-type", "application/octet-stream");
  const { body } = bytes;
  return body instanceof Uint8Array
    ? new Uint8Array(body)
    : patience.outgoing(body);
}

function authorization(
  { replicator, clock, group }: AgentHttpDeps,
  { owner, id, action }: OwnerRequest,
): string {
  const nowMs = clock.wallMs();
  const key = settledKey(replicator.signingKeys(), nowMs);
  if (key === undefined) {
    throw new Problem("unavailable", "No tracker has told the keys yet");
  }
  const e = Math.round(nowMs) + LIFE_MS;
  return `Kedge ${
    signCapability({ a: action, g: group, n: owner, f: id, e }, key)
  }`;
}

/** The newest key that everybody has heard of; the oldest when none is old. */
function settledKey(
  keys: readonly SigningKey[],
  nowMs: number,
): SigningKey | undefined {
  return keys.find(({ createdMs }) => nowMs - createdMs > KEY_SPREAD_MS) ??
    keys.at(-1);
}

async function readAnswer(response: Response): Promise<unknown> {
  const length = Number(response.headers.get("content-length") ?? 0);
  if (length > ANSWER_BYTES_MAX) {
    await response.body?.cancel();
    return undefined;
  }
  return await response.json().catch(() => undefined);
}

function answerOf(response: Response, answer: unknown): unknown {
  if (response.ok) return answer;
  const type = textIn(answer, "type").replace("/problems/", "");
  const slug = isSlug(type) ? type : "unavailable";
  throw new Problem(slug, textIn(answer, "detail") || "The owner refused");
}

function isSlug(text: string): text is ProblemSlug {
  return Object.hasOwn(PROBLEMS, text);
}

function textIn(value: unknown, name: string): string {
  if (typeof value !== "object" || value === null) return "";
  const found = new Map(Object.entries(value)).get(name);
  return typeof found === "string" ? found.slice(0, 300) : "";
}
