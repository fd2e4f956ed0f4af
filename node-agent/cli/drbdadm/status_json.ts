/**
 * `drbdadm status --json`: the shape of drbdsetup 9. Sizes in KiB. Pure.
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
} from "./nine_words.ts";
import type { NodeIds } from "./node_ids.ts";

/** One resource. */
export function statusJson(
  resource: ResourceStatus,
  ids: NodeIds,
): Readonly<Record<string, unknown>> {
  const state = sharedState(resource);
  const { own, peer } = ids(resource.resource);
  const { suspendedByUser, suspendedNoData, suspendedFencing } = state ?? {};
  return {
    "name": resource.resource,
    "node-id": own,
    "role": state?.role ?? "Unknown",
    "suspended": suspendedByUser || suspendedNoData || suspendedFencing ||
      false,
    "suspended-user": suspendedByUser ?? false,
    "suspended-no-data": suspendedNoData ?? false,
    "suspended-fencing": suspendedFencing ?? false,
    "suspended-quorum": false,
    "force-io-failures": false,
    "write-ordering": "flush",
    "devices": resource.volumes.map(deviceJson),
    "connections": [{
      "peer-node-id": peer,
      "name": resource.peerNode,
      "connection-state": state === undefined
        ? "StandAlone"
        : connectionWord(state),
      ...(resource.pending.length === 0
        ? {}
        : { "after-reconnect": resource.pending }),
      "congested": false,
      "peer-role": state?.peerRole ?? "Unknown",
      "tls": false,
      "ap-in-flight": 0,
      "rs-in-flight": 0,
      "paths": [{
        "this_host": endJson(resource.local),
        "remote_host": endJson(resource.remote),
        "established": state !== undefined &&
          connectionWord(state) === "Connected",
      }],
      "peer_devices": resource.volumes.map(peerDeviceJson),
    }],
  };
}

function deviceJson(volume: VolumeStatus): Readonly<Record<string, unknown>> {
  const { counters, state } = volume;
  return {
    "volume": volume.volume,
    "minor": volume.minor,
    "disk-state": state.disk,
    "client": false,
    "open": volume.openCount > 0,
    "quorum": true,
    "size": kib(volume.sizeBytes),
    "read": kib(counters.readBytes),
    "written": kib(counters.writtenBytes),
    "al-writes": counters.logWrites,
    "bm-writes": counters.bitmapWrites,
    "upper-pending": volume.applicationPending,
    "lower-pending": 0,
  };
}

function peerDeviceJson(
  volume: VolumeStatus,
): Readonly<Record<string, unknown>> {
  const { counters, state, progress } = volume;
  const inSync = volume.sizeBytes === 0
    ? 100
    : 100 * (1 - volume.outOfSyncBytes / volume.sizeBytes);
  const done = doneWord(volume);
  return {
    "volume": volume.volume,
    "replication-state": replicationWord(state),
    "peer-disk-state": state.peerDisk,
    "peer-client": false,
    "resync-suspended": resyncSuspendedWord(state),
    "received": kib(counters.receivedBytes),
    "sent": kib(counters.sentBytes),
    "out-of-sync": kib(volume.outOfSyncBytes),
    "pending": volume.peerPending,
    "unacked": volume.unacknowledged,
    "has-sync-details": progress?.kind === "resync",
    "has-online-verify-details": progress?.kind === "verify",
    "percent-in-sync": Number(inSync.toFixed(2)),
    ...(progress === undefined ? {} : {
      "rs-total": kib(progress.totalBytes),
      "rs-left": kib(progress.leftBytes),
      "rs-dt-start-ms": Math.round(progress.elapsedMs),
      "want": kib(progress.wantBytesPerSecond ?? 0),
      "db1/dt1 [MiB/s]": Number((progress.bytesPerSecond / 2 ** 20).toFixed(2)),
      ...(progress.etaSeconds === undefined
        ? {}
        : { "estimated-seconds-to-finish": Math.round(progress.etaSeconds) }),
      ...(done === undefined ? {} : { "percent-resync-done": Number(done) }),
    }),
  };
}

function endJson(address: string): Readonly<Record<string, unknown>> {
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[|\]$/g, "");
  return {
    address: host,
    port: Number(address.slice(at + 1)),
    family: host.includes(":") ? "ipv6" : "ipv4",
  };
}

function kib(bytes: number): number {
  return Math.floor(bytes / 1024);
}
