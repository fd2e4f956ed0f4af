/**
 * `drbdadm status`, as DRBD 9 prints it. Pure.
 *
 * Source: reference of DRBD, §6.2.
 *
 * @module
 */

import type {
  ResourceStatus,
  VolumeStatus,
} from "@kedge/schema/mirror/control-api";
import {
  connectionWord,
  doneWord,
  replicationWord,
  resyncSuspendedWord,
  sharedState,
  suspendedWord,
} from "./nine_words.ts";
import type { NodeIds } from "./node_ids.ts";

/** How to print. */
export interface StatusStyle {
  /** Everything, also what is the default. */
  readonly verbose: boolean;
  /** Counters too. */
  readonly statistics: boolean;
}

/** `NAME:VALUE`, and whether it is left out as the default. */
type Part = readonly [name: string, value: string, isDefault?: boolean];

/** What is said when nothing runs. */
export const NOTHING_CONFIGURED = "# No currently configured DRBD found.";

/** The lines of one resource, with an empty one at the end. */
export function statusLines(
  resource: ResourceStatus,
  ids: NodeIds,
  style: StatusStyle,
): string[] {
  const { own, peer } = ids(resource.resource);
  const state = sharedState(resource);
  if (state === undefined) return [resource.resource, ""];
  const text = (parts: readonly Part[]) => partsText(parts, style.verbose);
  const isConnected = connectionWord(state) === "Connected";
  const suspended = suspendedWord(state);
  const isPending = resource.pending.length > 0;
  return [
    `${resource.resource} ` + text([
      ["node-id", String(own), true],
      ["role", state.role],
      ["suspended", suspended, suspended === "no"],
    ]),
    ...resource.volumes.flatMap((volume) => [
      `  ${text(deviceParts(resource, volume))}`,
      ...counterLines(style, 6, deviceCounters(volume)),
    ]),
    `  ${resource.peerNode} ` + text([
      ["node-id", String(peer), true],
      ["connection", connectionWord(state), isConnected],
      ["role", state.peerRole, !isConnected],
      ...isPending
        ? [["after-reconnect", resource.pending.join(",")] as const]
        : [],
    ]),
    ...resource.volumes.flatMap((volume) => [
      `    ${text(peerDeviceParts(resource, volume))}`,
      ...counterLines(style, 8, peerCounters(volume)),
    ]).filter((line) => line.trim() !== ""),
    "",
  ];
}

function deviceParts(resource: ResourceStatus, volume: VolumeStatus): Part[] {
  return [
    volumePart(resource, volume),
    ["minor", String(volume.minor), true],
    ["disk", volume.state.disk],
    ["backing_dev", volume.backingDisk ?? "none", true],
    ["quorum", "yes", true],
    ["open", volume.openCount > 0 ? "yes" : "no"],
  ];
}

function peerDeviceParts(
  resource: ResourceStatus,
  volume: VolumeStatus,
): Part[] {
  const { state } = volume;
  const replication = replicationWord(state);
  const isUsual = replication === "Off" || replication === "Established";
  const paused = resyncSuspendedWord(state);
  const done = doneWord(volume);
  return [
    volumePart(resource, volume),
    ["replication", replication, isUsual],
    ["peer-disk", state.peerDisk, state.peerDisk === "DUnknown"],
    ...(done === undefined ? [] : [["done", done] as const]),
    ["resync-suspended", paused, paused === "no"],
  ];
}

/** The volume's number goes without saying where there is only volume 0. */
function volumePart(resource: ResourceStatus, { volume }: VolumeStatus): Part {
  const isOnly = resource.volumes.length === 1 && volume === 0;
  return ["volume", String(volume), isOnly];
}

function deviceCounters({ counters, ...volume }: VolumeStatus): Part[] {
  return [
    ["size", kib(volume.sizeBytes)],
    ["read", kib(counters.readBytes)],
    ["written", kib(counters.writtenBytes)],
    ["al-writes", String(counters.logWrites)],
    ["bm-writes", String(counters.bitmapWrites)],
    ["upper-pending", String(volume.applicationPending)],
    ["lower-pending", "0"],
    ["al-suspended", "no"],
    ["blocked", "no"],
  ];
}

function peerCounters({ counters, ...volume }: VolumeStatus): Part[] {
  const { progress } = volume;
  return [
    ["received", kib(counters.receivedBytes)],
    ["sent", kib(counters.sentBytes)],
    ["out-of-sync", kib(volume.outOfSyncBytes)],
    ["pending", String(volume.peerPending)],
    ["unacked", String(volume.unacknowledged)],
    ...(progress === undefined
      ? []
      : [["dbdt1", (progress.bytesPerSecond / 2 ** 20).toFixed(2)] as const]),
    ...(progress?.etaSeconds === undefined
      ? []
      : [["eta", String(Math.round(progress.etaSeconds))] as const]),
  ];
}

function counterLines(
  { statistics }: StatusStyle,
  indent: number,
  parts: readonly Part[],
): string[] {
  return statistics ? [" ".repeat(indent) + partsText(parts, true)] : [];
}

function partsText(parts: readonly Part[], verbose: boolean): string {
  return parts.filter(([, , isDefault]) => verbose || !isDefault)
    .map(([name, value]) => `${name}:${value}`).join(" ");
}

function kib(bytes: number): string {
  return String(Math.floor(bytes / 1024));
}
