/** A daemon's status for tests: the tutorial's resource in some state. */

import type {
  MirrorStatus,
  ResourceStatus,
  VolumeStatus,
} from "@kedge/schema/mirror/control-api";

/** What a test changes of the volume. */
export type VolumeChange = Partial<Omit<VolumeStatus, "state">> & {
  readonly state?: Partial<VolumeStatus["state"]>;
};

const KIB = 1024;

/** Primary, connected, in sync. */
export function volumeFixture(change: VolumeChange = {}): VolumeStatus {
  return {
    resource: "mysql",
    volume: 0,
    minor: 1,
    device: "/dev/drbd1",
    backingDisk: "/dev/data/mysql",
    protocol: "C",
    sizeBytes: 2_097_052 * KIB,
    counters: {
      sentBytes: 1000 * KIB,
      receivedBytes: 2 * KIB,
      writtenBytes: 1000 * KIB,
      readBytes: 664 * KIB,
      logWrites: 3,
      bitmapWrites: 129,
    },
    outOfSyncBytes: 0,
    applicationPending: 0,
    peerPending: 0,
    unacknowledged: 0,
    openCount: 0,
    ...change,
    state: {
      connection: "Connected",
      role: "Primary",
      peerRole: "Secondary",
      disk: "UpToDate",
      peerDisk: "UpToDate",
      suspendedByUser: false,
      suspendedNoData: false,
      suspendedFencing: false,
      pausedByDependency: false,
      pausedByPeer: false,
      pausedByUser: false,
      ...change.state,
    },
  };
}

/** A resource of these volumes. */
export function resourceFixture(
  ...volumes: readonly VolumeStatus[]
): ResourceStatus {
  return {
    resource: volumes[0]?.resource ?? "mysql",
    node: "ha-node1",
    peerNode: "ha-node2",
    local: "192.168.8.51:7789",
    remote: "192.168.8.52:7789",
    exports: [],
    pending: [],
    volumes: [...volumes],
  };
}

/** What the daemon says; one resource per volume. */
export function statusFixture(
  ...volumes: readonly VolumeStatus[]
): MirrorStatus {
  const resources = volumes.map((volume) => resourceFixture(volume));
  return { version: "0.1.0", pid: 1, resources };
}

/** A volume in the middle of its first resync, on the target. */
export function syncingFixture(change: VolumeChange = {}): VolumeStatus {
  return volumeFixture({
    outOfSyncBytes: 1_003_000 * KIB,
    progress: {
      kind: "resync",
      totalBytes: 2_103_412 * KIB,
      leftBytes: 1_003_000 * KIB,
      elapsedMs: 40_640,
      bytesPerSecond: 26_792 * KIB,
      wantBytesPerSecond: 102_400 * KIB,
      etaSeconds: 37.4,
    },
    ...change,
    state: {
      connection: "SyncTarget",
      role: "Secondary",
      peerRole: "Primary",
      disk: "Inconsistent",
      ...change.state,
    },
  });
}
