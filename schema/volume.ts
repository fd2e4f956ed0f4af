/**
 * The volume register: the one record that decides who may be Primary of a
 * mirrored volume, and whose copy is good.
 *
 * It lives in the shared KV and is changed only by compare-and-set. The rules
 * of change are here as one pure function, used by the tracker and by tests.
 *
 * | change    | who             | epoch  | in sync afterwards                    |
 * | --------- | --------------- | ------ | ------------------------------------- |
 * | `create`  | first Primary   | 1      | the caller                            |
 * | `promote` | one in sync     | + 1    | the caller                            |
 * | `shrink`  | the Primary     | + 1    | the caller                            |
 * | `leave`   | the Primary     | + 1    | the others: its own disk is gone      |
 * | `grow`    | the Primary     | same   | the caller and its peer               |
 * | `demote`  | the Primary     | same   | as before; nobody is Primary          |
 * | `force`   | an operator     | + 1000 | the one named; others may lose writes |
 *
 * Every change carries an identity of the request, and the register keeps the
 * last one: a request whose answer was lost may be sent again, and a reader can
 * see that it was done.
 *
 * Source: promises.md §6.1.
 *
 * @module
 */

import { z } from "zod";
import { NodeId } from "./group.ts";
import { EPOCH_REPORTED_MAX } from "./limits.ts";

/** Most copies of a volume: the mirror runs between two nodes. */
export const VOLUME_COPIES_MAX = 2;
/** Highest epoch that a register can have: reports are bounded, steps added. */
export const VOLUME_EPOCH_MAX: number = 2 * EPOCH_REPORTED_MAX;
/** How far `force` moves the epoch, so that nobody mistakes it (R14). */
export const VOLUME_FORCE_STEP = 1000;

/** Name of a resource in paths and keys: what drbd.conf allows of ASCII. */
export const ResourceName = z.string().regex(/^[A-Za-z0-9_][\w.@+-]{0,127}$/)
  .describe("Name of a resource: letters, digits and _.@+-");
/** Name of a resource. */
export type ResourceName = z.infer<typeof ResourceName>;

/** Number of a volume in its resource. */
export const VolumeNumber = z.int().min(0).max(65_535)
  .describe("Number of a volume in its resource");

/** Identity of a backing disk: the device UUID of its metadata, in hex. */
export const DiskId = z.string().regex(/^(?!0{16})[0-9A-F]{16}$/)
  .describe("Device UUID of the metadata, 16 hex digits, not zero");
/** Identity of a backing disk. */
export type DiskId = z.infer<typeof DiskId>;

/** One copy of a volume. */
export const VolumeMember = z.object({
  /** Whose copy. */
  node: NodeId,
  /** Its host's name, for people. */
  name: z.string().min(1).max(64),
  /** Which disk: another one, or one made anew, is another copy. */
  disk: DiskId,
  /**
   * The run that took the writes, as far as they may be in its memory only: of
   * the process with protocols A and B, of the machine with C, where they are
   * in the page cache at least (R10). Missing: all of it is on the disk.
   */
  boot: z.uuid().optional(),
}).describe("A copy of a volume: whose, on which disk, of which run");
/** One copy of a volume. */
export type VolumeMember = z.infer<typeof VolumeMember>;

/** How far a write is before it is answered (DRBD's protocols). */
export const VolumeMode = z.enum(["A", "B", "C"]);
/** How far a write is before it is answered. */
export type VolumeMode = z.infer<typeof VolumeMode>;

/** Who may be Primary of a volume, and whose copy is good. */
export const VolumeRegister = z.object({
  resource: ResourceName,
  volume: VolumeNumber,
  /** Made anew when the KV is created (R13). */
  gen: z.uuid().describe("Generation of the KV store"),
  epoch: z.int().min(1).max(VOLUME_EPOCH_MAX),
  /** Who won the role last and has not given it back. */
  primary: NodeId.nullable(),
  /** Copies that hold everything that was acknowledged. */
  insync: z.array(VolumeMember).min(1).max(VOLUME_COPIES_MAX),
  /** Protocol under which the last Primary ran. */
  mode: VolumeMode,
  /** The last request that was carried out. */
  request: z.uuid(),
  /** For people, such as "forced, lossy". */
  note: z.string().max(200),
});
/** Who may be Primary of a volume, and whose copy is good. */
export type VolumeRegister = z.infer<typeof VolumeRegister>;

const Above = z.int().min(0).max(EPOCH_REPORTED_MAX);

/** A change of the register of a volume. */
export const VolumeChange = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("create"),
    member: VolumeMember,
    mode: VolumeMode,
    /** Highest epoch that the copy knows: its register was lost. */
    above: Above,
  }).describe("The first Primary of a volume that has no register"),
  z.object({
    kind: z.literal("promote"),
    member: VolumeMember,
    mode: VolumeMode,
    /** Connected and equal: together both hold whatever there is. */
    peer: VolumeMember.optional(),
  }).describe("`member`, which is in sync, becomes Primary"),
  z.object({ kind: z.literal("shrink"), member: VolumeMember })
    .describe("The Primary goes on without its peer"),
  z.object({ kind: z.literal("leave"), by: NodeId })
    .describe("The Primary's own disk is gone: only its peer's copy is good"),
  z.object({
    kind: z.literal("grow"),
    member: VolumeMember,
    peer: VolumeMember,
  }).describe("The Primary's peer is equal and takes every write"),
  z.object({ kind: z.literal("demote"), member: VolumeMember })
    .describe("The Primary gives the role back; its disk holds everything"),
  z.object({
    kind: z.literal("force"),
    member: VolumeMember,
    mode: VolumeMode,
    above: Above,
  }).describe("An operator declares this copy good although data may be lost"),
]);
/** A change of the register of a volume. */
export type VolumeChange = z.infer<typeof VolumeChange>;

/** `POST …/register`: a node asks for a change. */
export const ChangeVolumeBody = z.strictObject({
  /** What the caller decided under; `null`: there was no register. */
  under: z.object({
    gen: z.uuid(),
    epoch: z.int().min(1).max(VOLUME_EPOCH_MAX),
  }).nullable(),
  /** Identity of this request; the same when it is sent again. */
  request: z.uuid(),
  change: VolumeChange,
});
/** `POST …/register`. */
export type ChangeVolumeBody = z.infer<typeof ChangeVolumeBody>;

/** `POST …/force`: an operator's word for one copy. */
export const ForceVolume = z.strictObject({
  member: VolumeMember,
  mode: VolumeMode.default("C"),
  /** Highest epoch that any copy knows: the next one lies above it. */
  above: Above.default(0),
});
/** `POST …/force`. */
export type ForceVolume = z.input<typeof ForceVolume>;

/** Answer of `GET /v1/volumes`. */
export const VolumeList = z.object({ volumes: z.array(VolumeRegister) });
/** Answer of `GET /v1/volumes`. */
export type VolumeList = z.infer<typeof VolumeList>;

/** `POST /v1/mirrors/join`: a host that mirrors volumes asks for a number. */
export const JoinMirrorBody = z.strictObject({
  /** One-time token from `kedge token create`. */
  token: z.string().min(16).max(200),
  /** Identity of the host's folder: a join that is repeated is the same. */
  host: z.uuid(),
  /** The host's name, for people. */
  name: z.string().min(1).max(64),
});
/** `POST /v1/mirrors/join`. */
export type JoinMirrorBody = z.infer<typeof JoinMirrorBody>;

/** What a mirroring host gets, once. */
export const JoinMirrorReply = z.object({
  node: NodeId,
  /** Its password towards trackers: shown once, kept by the host alone. */
  credential: z.string().min(32),
});
/** What a mirroring host gets, once. */
export type JoinMirrorReply = z.infer<typeof JoinMirrorReply>;

/** A host that mirrors volumes, as `GET /v1/mirrors` lists it. */
export const MirrorView = z.object({
  node: NodeId,
  name: z.string(),
  joined: z.iso.datetime(),
});
/** A host that mirrors volumes. */
export type MirrorView = z.infer<typeof MirrorView>;

/** Answer of `GET /v1/mirrors`. */
export const MirrorList = z.object({ mirrors: z.array(MirrorView) });
/** Answer of `GET /v1/mirrors`. */
export type MirrorList = z.infer<typeof MirrorList>;

/** Why a change is refused. */
export type VolumeRefusal =
  | "exists"
  | "not-in-sync"
  | "another-disk"
  | "another-boot"
  | "not-primary"
  | "alone";

/** The register after a change, or the rule that forbids it. */
export type VolumeResult =
  | { readonly ok: true; readonly register: VolumeRegister }
  | { readonly ok: false; readonly refusal: VolumeRefusal };

/** What a new register is made of. */
export interface NewVolume {
  readonly resource: ResourceName;
  readonly volume: number;
  readonly gen: string;
  readonly request: string;
}

/** The first register of a volume. */
export function createVolumeRegister(
  about: NewVolume,
  change: Extract<VolumeChange, { kind: "create" | "force" }>,
): VolumeRegister {
  const { member, mode, above } = change;
  const isNew = above === 0;
  return {
    ...about,
    epoch: isNew ? 1 : above + VOLUME_FORCE_STEP,
    primary: member.node,
    insync: [member],
    mode,
    note: isNew ? "" : "made anew: the former register was lost",
  };
}

/**
 * Apply one change, or say which rule forbids it. The caller compares the
 * epoch it decided under with the stored one, and stores by compare-and-set.
 *
 * @param register As stored now.
 * @param change What is asked.
 * @param request Identity of the request.
 */
export function changeVolumeRegister(
  register: VolumeRegister,
  change: VolumeChange,
  request: string,
): VolumeResult {
  const next = (part: Partial<VolumeRegister>): VolumeResult => ({
    ok: true,
    register: { ...register, note: "", ...part, request },
  });
  const epoch = register.epoch + 1;
  switch (change.kind) {
    case "create":
      return refuse("exists");
    case "promote": {
      const { member, mode, peer } = change;
      const refusal = whyNotPromoted(register, member, peer);
      if (refusal !== undefined) return refuse(refusal);
      return next({ epoch, primary: member.node, insync: [member], mode });
    }
    case "shrink": {
      const { member } = change;
      if (!isPrimary(register, member.node)) return refuse("not-primary");
      if (!isListed(register, member)) return refuse("not-in-sync");
      return next({ epoch, insync: [member] });
    }
    case "leave": {
      if (!isPrimary(register, change.by)) return refuse("not-primary");
      const insync = register.insync.filter(({ node }) => node !== change.by);
      return insync.length === 0 ? refuse("alone") : next({ epoch, insync });
    }
    case "grow": {
      const { member, peer } = change;
      const isRight = isPrimary(register, member.node) &&
        peer.node !== member.node;
      return isRight ? next({ insync: [member, peer] }) : refuse("not-primary");
    }
    case "demote":
      return demote(register, change.member, request);
    case "force": {
      const { member, mode, above } = change;
      return next({
        epoch: Math.max(register.epoch, above) + VOLUME_FORCE_STEP,
        primary: member.node,
        insync: [member],
        mode,
        note: "forced, lossy",
      });
    }
    default:
      return change satisfies never;
  }
}

/**
 * Whether a node may go on alone: it is Primary and nobody else is in sync.
 *
 * @param disk Its disk.
 */
export function isAlone(
  register: VolumeRegister,
  node: NodeId,
  disk: DiskId,
): boolean {
  const [only, other] = register.insync;
  return isPrimary(register, node) && other === undefined &&
    only?.node === node && only.disk === disk;
}

/** Who is in sync, for people: `node 1 "alfa" (Primary), node 2 "bravo"`. */
export function insyncWords(register: VolumeRegister): string {
  return register.insync.map(({ node, name }) =>
    `node ${node} "${name}"${node === register.primary ? " (Primary)" : ""}`
  ).join(", ");
}

/** Why this copy may not become Primary; undefined: it may (R4, R10). */
function whyNotPromoted(
  register: VolumeRegister,
  member: VolumeMember,
  peer: VolumeMember | undefined,
): VolumeRefusal | undefined {
  const known = register.insync.find(({ node }) => node === member.node);
  if (known === undefined) return "not-in-sync";
  if (known.disk !== member.disk) return "another-disk";
  if (known.boot === undefined || known.boot === member.boot) return undefined;
  // Another run: it may lack what it had in memory. Nobody has more when the
  // other one is not in sync, or is here and equal; with A and B the last
  // Primary had written everything itself.
  const hasAll = register.insync.length === 1 ||
    peer !== undefined && isListed(register, peer) ||
    register.mode !== "C" && isPrimary(register, member.node);
  return hasAll ? undefined : "another-boot";
}

/** Gives the role back; asking twice is no mistake. */
function demote(
  register: VolumeRegister,
  { node, name, disk }: VolumeMember,
  request: string,
): VolumeResult {
  if (register.primary === null) return { ok: true, register };
  if (register.primary !== node) return refuse("not-primary");
  const insync = register.insync.map((each) =>
    each.node === node && each.disk === disk ? { node, name, disk } : each
  );
  return {
    ok: true,
    register: { ...register, primary: null, insync, request },
  };
}

function isListed(register: VolumeRegister, member: VolumeMember): boolean {
  return register.insync.some(({ node, disk }) =>
    node === member.node && disk === member.disk
  );
}

function isPrimary(register: VolumeRegister, node: NodeId): boolean {
  return register.primary === node;
}

function refuse(refusal: VolumeRefusal): VolumeResult {
  return { ok: false, refusal };
}
