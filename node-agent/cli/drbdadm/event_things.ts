/** From the status of a daemon to the things of `events2`. Pure. */

import type {
  MirrorStatus,
  ResourceStatus,
  VolumeStatus,
} from "@kedge/schema/mirror/control-api";
import type { Fields, Thing } from "./events_text.ts";
import {
  connectionWord,
  doneWord,
  promotionOf,
  replicationWord,
  resyncSuspendedWord,
  sharedState,
  suspendedWord,
} from "./nine_words.ts";
import type { NodeIds } from "./node_ids.ts";

/** Everything that there is, in the order in which it comes into being. */
export function thingsOf(status: MirrorStatus, ids: NodeIds): Thing[] {
  return status.resources.flatMap((resource) => {
    const peer = {
      "name": resource.resource,
      "peer-node-id": String(ids(resource.resource).peer),
      "conn-name": resource.peerNode,
    };
    return [
      resourceThing(resource),
      ...resource.volumes.map((volume) => deviceThing(resource, volume)),
      connectionThing(resource, peer),
      ...resource.volumes.map((volume) => peerDeviceThing(volume, peer)),
      pathThing(resource, peer),
    ];
  });
}

function resourceThing(resource: ResourceStatus): Thing {
  const state = sharedState(resource);
  const { mayPromote, score } = promotionOf(resource);
  return {
    type: "resource",
    keys: { name: resource.resource },
    fields: {
      "role": state?.role ?? "Secondary",
      "suspended": state === undefined ? "no" : suspendedWord(state),
      "force-io-failures": "no",
      "write-ordering": "flush",
      "may_promote": yesNo(mayPromote),
      "promotion_score": String(score),
    },
  };
}

function deviceThing(resource: ResourceStatus, volume: VolumeStatus): Thing {
  const { state, counters } = volume;
  return {
    type: "device",
    keys: {
      name: resource.resource,
      volume: String(volume.volume),
      minor: String(volume.minor),
    },
    fields: {
      "backing_dev": state.disk === "Diskless"
        ? "none"
        : volume.backingDisk ?? "unknown",
      "disk": state.disk,
      "client": "no",
      "open": yesNo(volume.openCount > 0),
      "quorum": "yes",
      "size": kib(volume.sizeBytes),
      "read": kib(counters.readBytes),
      "written": kib(counters.writtenBytes),
      "al-writes": String(counters.logWrites),
      "bm-writes": String(counters.bitmapWrites),
      "upper-pending": String(volume.applicationPending),
      "lower-pending": "0",
      "al-suspended": "no",
      "blocked": "no",
    },
  };
}

function connectionThing(resource: ResourceStatus, keys: Fields): Thing {
  const state = sharedState(resource);
  return {
    type: "connection",
    keys,
    fields: {
      "connection": state === undefined ? "StandAlone" : connectionWord(state),
      "role": state?.peerRole ?? "Unknown",
      "congested": "no",
      "ap-in-flight": "0",
      "rs-in-flight": "0",
    },
  };
}

function peerDeviceThing(volume: VolumeStatus, keys: Fields): Thing {
  const { state, counters, progress } = volume;
  const done = doneWord(volume);
  return {
    type: "peer-device",
    keys: { ...keys, volume: String(volume.volume) },
    fields: {
      "replication": replicationWord(state),
      "peer-disk": state.peerDisk,
      "peer-client": "no",
      "resync-suspended": resyncSuspendedWord(state),
      ...(done === undefined ? {} : { done }),
      "received": kib(counters.receivedBytes),
      "sent": kib(counters.sentBytes),
      "out-of-sync": kib(volume.outOfSyncBytes),
      "pending": String(volume.peerPending),
      "unacked": String(volume.unacknowledged),
      ...(progress === undefined ? {} : {
        "dbdt1": (progress.bytesPerSecond / 2 ** 20).toFixed(2),
        ...(progress.etaSeconds === undefined
          ? {}
          : { "eta": String(Math.round(progress.etaSeconds)) }),
      }),
    },
  };
}

function pathThing(resource: ResourceStatus, keys: Fields): Thing {
  const state = sharedState(resource);
  const isUp = state !== undefined && connectionWord(state) === "Connected";
  return {
    type: "path",
    keys: {
      ...keys,
      local: endText(resource.local),
      peer: endText(resource.remote),
    },
    fields: { established: yesNo(isUp) },
  };
}

/** `ipv4:HOST:PORT`, from `HOST:PORT`. */
export function endText(address: string): string {
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[|\]$/g, "");
  return host.includes(":")
    ? `ipv6:[${host}]:${address.slice(at + 1)}`
    : `ipv4:${address}`;
}

function kib(bytes: number): string {
  return String(Math.floor(bytes / 1024));
}

function yesNo(value: boolean): string {
  return value ? "yes" : "no";
}
