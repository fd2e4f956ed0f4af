/**
 * What a report of the peer says, put into the words of the handshake.
 *
 * @module
 */

import type { MirrorReport, MirrorStateWords } from "@kedge/schema/wire/mirror";
import { sameGeneration } from "../decisions/generations_core.ts";
import type {
  HandshakeOutcome,
  HandshakeSide,
} from "../decisions/handshake_core.ts";
import {
  compareDisk,
  type ConnectionState,
  type DiskState,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import type { VolumeConfig } from "./volume_types.ts";
import { generationsOf, peerDiskOf, roleOf } from "./words_core.ts";

/**
 * The peer, as the handshake judges it.
 *
 * @param ourDisk Our disk as we have told it.
 */
export function peerSide(
  report: MirrorReport,
  ourDisk: DiskState,
): HandshakeSide {
  return {
    generations: generationsOf(report.state.generations),
    outOfSyncBlocks: report.state.dirtyBits,
    role: roleOf(report.state.role),
    disk: isServed(report, ourDisk) ? "Outdated" : realDisk(report),
    crashedPrimary: report.crashedPrimary,
    stayedUp: report.stayedUp ?? false,
    discardMyData: report.discardMyData,
  };
}

/** In what the nodes' options differ that must be the same; undefined: nothing. */
export function disagreement(
  config: VolumeConfig,
  report: MirrorReport,
): string | undefined {
  const pairs: [string, string, string][] = [
    ["protocol", config.protocol, report.protocol],
    [
      "fencing by a tracker",
      onOff(config.fencedByRegister),
      onOff(report.fencedByRegister ?? false),
    ],
    ["verify-alg", config.verifyAlgorithm, report.verifyAlgorithm],
    ["csums-alg", config.checksumAlgorithm, report.checksumAlgorithm],
    ["after-sb-1pri", config.splitBrain.afterSb1pri, report.afterSplitBrain1],
    ["after-sb-2pri", config.splitBrain.afterSb2pri, report.afterSplitBrain2],
    [
      "after-sb-0pri",
      mirroredPolicy(config.splitBrain.afterSb0pri),
      report.afterSplitBrain0,
    ],
  ];
  const differing = pairs.find(([, ours, theirs]) => ours !== theirs);
  return differing === undefined
    ? undefined
    : `The nodes disagree about ${differing[0]}: ${differing[1]} here, ${
      differing[2]
    } there`;
}

/** Whether the peer says that it is the target of a resync. */
export function isTarget(connection: ConnectionState): boolean {
  return connection === "SyncTarget" || connection === "PausedSyncT";
}

/** Whether the peer says that it is the source of a resync. */
export function isSource(connection: ConnectionState): boolean {
  return connection === "SyncSource" || connection === "PausedSyncS";
}

/** The peer's application sees our data while its disk comes back. */
function isServed({ state }: MirrorReport, disk: DiskState): boolean {
  return roleOf(state.role) === "Primary" && state.disk === "Negotiating" &&
    disk === "UpToDate";
}

/** Whether a copy is none of what was exposed, or may lack something of it. */
export function isUnfit(
  exposed: bigint | undefined,
  current: bigint,
  disk: DiskState,
): boolean {
  if (exposed === undefined) return false;
  return disk === "Outdated" || !sameGeneration(exposed, current);
}

/** A disk that is being negotiated is worth what it will be. */
export function realDisk(report: MirrorReport): DiskState {
  const disk = peerDiskOf(report.state.disk);
  if (disk !== "Negotiating") return disk;
  if (report.alone !== undefined) return peerDiskOf(report.alone);
  return report.willBeInconsistent ? "Inconsistent" : "Consistent";
}

/**
 * What the peer's disk is worth to us by what it tells of its state. To a
 * Primary without a disk only a copy of what it has shown is good.
 *
 * @param state Where we stand.
 * @param exposed The generation that our application has last seen.
 */
export function worthTold(
  words: MirrorStateWords,
  state: MirrorState,
  exposed: bigint | undefined,
): DiskState {
  const told = peerDiskOf(words.disk);
  // A disk that comes back to ours is Attaching first. So it had not seen our
  // report when it said this, and will decide as we have: what we write it has.
  const isBare = compareDisk(state.disk, "Inconsistent") < 0;
  const isDecided = compareDisk(state.peerDisk, "Negotiating") > 0;
  if (told === "Negotiating" && isDecided && !isBare) return state.peerDisk;
  const becomesGood = state.peerDisk !== "UpToDate" &&
    compareDisk(told, "Inconsistent") > 0;
  if (state.role !== "Primary" || !isBare || !becomesGood) return told;
  const { current } = generationsOf(words.generations);
  return isUnfit(exposed, current, told) ? "Inconsistent" : told;
}

function onOff(is: boolean): string {
  return is ? "on" : "off";
}

function mirroredPolicy(policy: string): string {
  if (policy === "discard-local") return "discard-remote";
  return policy === "discard-remote" ? "discard-local" : policy;
}

/** A refusal of the handshake in words. */
export function whyDropped(outcome: HandshakeOutcome): string {
  switch (outcome.dropReason) {
    case "unrelated-data":
      return "Unrelated data, aborting!";
    case "split-brain":
      return "Split-Brain detected but unresolved, dropping connection!";
    case "source-without-data":
      return "I shall become SyncSource, but I am inconsistent!";
    case "primary-would-be-target":
      return "I shall become SyncTarget, but I am primary! The peer may have " +
        'answered what this disk has lost: "drbdadm secondary" and then ' +
        '"drbdadm connect" here take its data';
    default:
      return "dry-run connect";
  }
}
