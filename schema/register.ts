/**
 * The group register: the one record that decides who is in sync.
 *
 * It lives in the shared KV, is changed only by compare-and-set, and every
 * change raises `epoch` by one. The rules of change are here as one pure
 * function, used by the tracker, by the agents' cores and by the simulator.
 *
 * - *shrink before ack*: a node that misses an answer from an in-sync peer first
 *   takes the peer out, then acknowledges without it (promises.md R2);
 * - *ack before grow*: a node is put in only after everybody in sync already
 *   waits for its answers and it was proven equal (R3).
 *
 * Source: promises.md §6.1 and §6.5.
 *
 * @module
 */

import { z } from "zod";
import { GroupName, NodeId, StoreId } from "./group.ts";
import { EPOCH_REPORTED_MAX, GROUP_NODES_MAX } from "./limits.ts";

/** One member of a group. */
export const Member = z.object({
  /** Which node. */
  node: NodeId,
  /** The database it had when it last joined or came back empty. */
  store: StoreId,
}).describe("A member: its node and the identity of its database");
/** One member of a group. */
export type Member = z.infer<typeof Member>;

/** Who is in a group, and who of them is in sync. */
export const GroupRegister = z.object({
  /** Which group. */
  group: GroupName,
  /** Made anew when the KV is created or restored (promises.md R13). */
  gen: z.uuid().describe("Generation of the KV store"),
  /** Raised by one with every change. */
  epoch: z.int().min(1).max(2 * EPOCH_REPORTED_MAX)
    .describe("Raised by one with every change"),
  /** Everybody, in the order of joining. */
  members: z.array(Member).max(GROUP_NODES_MAX),
  /** Those who hold everything acknowledged at levels B and C; sorted. */
  insync: z.array(NodeId).max(GROUP_NODES_MAX),
});
/** Who is in a group, and who of them is in sync. */
export type GroupRegister = z.infer<typeof GroupRegister>;

/** A change of the register. */
export const RegisterChange = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("add"), node: NodeId, store: StoreId })
    .describe("A new, empty member; in sync at once only if it is the first"),
  z.object({ kind: z.literal("shrink"), node: NodeId, by: NodeId })
    .describe("`by`, which is in sync, goes on without `node`"),
  z.object({ kind: z.literal("renew"), by: NodeId })
    .describe("`by`, which is in sync, makes promises of this epoch void"),
  z.object({ kind: z.literal("grow"), node: NodeId })
    .describe("`node` was proven equal and everybody waits for its answers"),
  z.object({ kind: z.literal("reset"), node: NodeId, store: StoreId })
    .describe("`node` came back with another database: no longer in sync"),
  z.object({ kind: z.literal("remove"), node: NodeId })
    .describe("An operator takes `node` out of the group"),
  z.object({
    kind: z.literal("force"),
    node: NodeId,
    /** Highest epoch that any member reported: the next one lies above it. */
    above: z.int().min(0).max(EPOCH_REPORTED_MAX).optional(),
    /** Database that the node has now. */
    store: StoreId.optional(),
  }).describe("An operator declares `node` in sync although data may be lost"),
]);
/** A change of the register. */
export type RegisterChange = z.infer<typeof RegisterChange>;

/** Why a change is refused. */
export type RegisterRefusal =
  | "already-member"
  | "group-full"
  | "not-a-member"
  | "not-in-sync"
  | "already-in-sync"
  | "last-in-sync"
  | "still-in-sync";

/** The register after a change, or the rule that forbids it. */
export type RegisterResult =
  | { readonly ok: true; readonly register: GroupRegister }
  | { readonly ok: false; readonly refusal: RegisterRefusal };

/** How far `force` moves the epoch, so that nobody mistakes it (R14). */
export const FORCE_EPOCH_STEP = 1000;

/**
 * A register for a new, empty group.
 *
 * @param group Its name.
 * @param gen Generation of the KV store, a UUID.
 * @returns Epoch 1, nobody in it.
 */
export function emptyRegister(group: GroupName, gen: string): GroupRegister {
  return { group, gen, epoch: 1, members: [], insync: [] };
}

/**
 * Apply one change, or say which rule forbids it. The caller compares the
 * epoch it decided under with the stored one, and stores by compare-and-set.
 *
 * @param register As stored now.
 * @param change What is asked.
 * @returns The next register, with a higher epoch, or the refusal.
 *
 * @example The first member is in sync at once, the second is not
 * ```ts
 * import { changeRegister, emptyRegister } from "@kedge/schema/register";
 * import assert from "node:assert/strict";
 *
 * const [a, b] = [crypto.randomUUID(), crypto.randomUUID()];
 * let register = emptyRegister("group1", crypto.randomUUID());
 * for (const [node, store] of [[1, a], [2, b]] as const) {
 *   const result = changeRegister(register, { kind: "add", node, store });
 *   assert(result.ok);
 *   register = result.register;
 * }
 * assert.deepEqual(register.insync, [1]);
 * assert.equal(register.epoch, 3);
 * ```
 */
export function changeRegister(
  register: GroupRegister,
  change: RegisterChange,
): RegisterResult {
  switch (change.kind) {
    case "add":
      return add(register, change.node, change.store);
    case "shrink":
      if (!isInSync(register, change.by)) return refuse("not-in-sync");
      if (!isInSync(register, change.node)) return refuse("not-in-sync");
      if (change.by === change.node) return refuse("last-in-sync");
      return next(register, { insync: without(register, change.node) });
    case "renew":
      if (!isInSync(register, change.by)) return refuse("not-in-sync");
      return next(register, {});
    case "grow":
      if (!isMember(register, change.node)) return refuse("not-a-member");
      if (isInSync(register, change.node)) return refuse("already-in-sync");
      return next(register, { insync: sorted(register, change.node) });
    case "reset":
      return reset(register, change.node, change.store);
    case "remove":
      return remove(register, change.node);
    case "force":
      return force(register, change);
    default:
      return change satisfies never;
  }
}

/** Whether `node` is in the in-sync set. */
export function isInSync(register: GroupRegister, node: NodeId): boolean {
  return register.insync.includes(node);
}

/** Whether `node` belongs to the group. */
export function isMember(register: GroupRegister, node: NodeId): boolean {
  return register.members.some((member) => member.node === node);
}

/**
 * Who may change an existing file: its origin while that is in sync, otherwise
 * the in-sync member with the lowest number. One writer at a time, agreed by
 * everybody who has the same epoch.
 *
 * @param register The register that the caller acts under.
 * @param origin The node that made the file.
 * @returns The owner, or `undefined` when nobody is in sync.
 */
export function ownerOf(
  register: GroupRegister,
  origin: NodeId,
): NodeId | undefined {
  return isInSync(register, origin) ? origin : register.insync[0];
}

function add(
  register: GroupRegister,
  node: NodeId,
  store: string,
): RegisterResult {
  if (isMember(register, node)) return refuse("already-member");
  if (register.members.length >= GROUP_NODES_MAX) return refuse("group-full");
  const isFirst = register.members.length === 0;
  return next(register, {
    members: [...register.members, { node, store }],
    insync: isFirst ? [node] : register.insync,
  });
}

function reset(
  register: GroupRegister,
  node: NodeId,
  store: string,
): RegisterResult {
  if (!isMember(register, node)) return refuse("not-a-member");
  // The last one in sync cannot come back with another database, not even where
  // it is the only member: it would be proof that no file ever existed. An
  // operator must decide ("force").
  const isLast = isInSync(register, node) && register.insync.length === 1;
  if (isLast) return refuse("last-in-sync");
  const members = register.members.map((member) =>
    member.node === node ? { node, store } : member
  );
  return next(register, { members, insync: without(register, node) });
}

function remove(register: GroupRegister, node: NodeId): RegisterResult {
  if (!isMember(register, node)) return refuse("not-a-member");
  const isLast = isInSync(register, node) && register.insync.length === 1;
  if (isLast && register.members.length > 1) return refuse("last-in-sync");
  return next(register, {
    members: register.members.filter((member) => member.node !== node),
    insync: without(register, node),
  });
}

function force(
  register: GroupRegister,
  change: RegisterChange & { readonly kind: "force" },
): RegisterResult {
  const { node, store, above = 0 } = change;
  if (!isMember(register, node)) return refuse("not-a-member");
  const members = register.members.map((member) =>
    member.node === node && store !== undefined ? { node, store } : member
  );
  const epoch = Math.max(register.epoch, above) + FORCE_EPOCH_STEP;
  const forced = { ...register, epoch, members, insync: [node] };
  return { ok: true, register: forced };
}

function next(
  register: GroupRegister,
  change: Partial<Pick<GroupRegister, "members" | "insync">>,
): RegisterResult {
  const epoch = register.epoch + 1;
  return { ok: true, register: { ...register, ...change, epoch } };
}

function without(register: GroupRegister, node: NodeId): NodeId[] {
  return register.insync.filter((member) => member !== node);
}

function sorted(register: GroupRegister, node: NodeId): NodeId[] {
  return [...register.insync, node].sort((a, b) => a - b);
}

function refuse(refusal: RegisterRefusal): RegisterResult {
  return { ok: false, refusal };
}
