/**
 * Whether what a client read agrees with what clients were told (I14…I16, I19).
 *
 * @module
 */

import { LEASE_MS, type ReadResult } from "./client_requests.ts";
import type { SimAgent } from "./sim_agent.ts";
import type { Item } from "./history.ts";

/** One read and its answer. */
export interface Read {
  readonly agent: SimAgent;
  readonly id: string;
  readonly startedMs: number;
  readonly result: ReadResult;
  /** In authority all the time: no lease, no fence. */
  readonly strict: boolean;
}

/** What was tried with the file that was read. */
export interface Tried {
  readonly items: readonly Item[];
  /** Whether the file may be gone because of how few held it. */
  isFragile(item: Item): boolean;
}

/** Check the answer to a read. */
export function checkRead(read: Read, { items, isFragile }: Tried): void {
  const { agent, id, startedMs, result } = read;
  if (result.kind === "unavailable") return;
  const upload = items.find((item) => item.kind === "upload");
  if (result.kind === "content") {
    checkContent(agent, id, result.content, items);
  }
  const deleted = items.find((item) =>
    item.kind === "delete" && item.ackedMs < startedMs && !item.excused &&
    item.level !== "A" && !isFragile(item)
  );
  if (result.kind === "content" && deleted !== undefined) {
    const leaseMs = read.strict ? 0 : 1.1 * LEASE_MS;
    if (deleted.ackedMs + leaseMs < startedMs) {
      agent.fail("I15", `${id} was deleted and is read again`);
    }
  }
  if (result.kind === "not-found") {
    const mayBeDeleted = items.some((item) => item.kind === "delete");
    if (mayBeDeleted || upload === undefined || upload.excused) return;
    if (upload.ackedMs < startedMs) {
      agent.fail("I19", `404 for ${id}, acknowledged at ${upload.level}`);
    }
  }
  if (result.kind === "content") checkAppends(read, { items, isFragile });
}

function checkContent(
  agent: SimAgent,
  id: string,
  content: readonly number[],
  items: readonly Item[],
): void {
  const tokens = new Set(
    items.filter((item) => item.kind !== "delete").map((item) => item.token),
  );
  const [first] = content;
  const upload = items.find((item) => item.kind === "upload");
  if (upload === undefined || first !== upload.token) {
    agent.fail("I14", `${id} begins with ${first}`);
  }
  for (const token of content) {
    if (!tokens.delete(token)) {
      agent.fail("I14", `${id} contains ${token}, never written or twice`);
    }
  }
}

function checkAppends(read: Read, { items, isFragile }: Tried): void {
  if (read.result.kind !== "content") return;
  for (const item of items) {
    if (item.kind !== "append" || item.excused) continue;
    if (item.level === "A" && !read.strict) continue;
    if (isFragile(item)) continue;
    const leaseMs = read.strict ? 0 : 1.1 * LEASE_MS;
    if (item.ackedMs + leaseMs >= read.startedMs) continue;
    if (!read.result.content.includes(item.token)) {
      read.agent.fail("I13", `${read.id} lacks append #${item.token}`);
    }
  }
}
