/**
 * From a resolved resource of drbd.conf to what a Worker runs. Pure.
 *
 * @module
 */

import type {
  NetOptions,
  PeerConfig,
  ResourceConfig,
  VolumeConfig as DiskConfig,
} from "@kedge/schema/drbd-conf";
import { HARDENED } from "../decisions/hardenings_core.ts";
import type { ResyncOptions } from "../decisions/resync_controller_core.ts";
import type { VolumeConfig } from "../core/volume_types.ts";
import type { BackingPaths } from "../volume/backing_disk.ts";
import type { RegisterIdentity } from "../../register_ports.ts";
import type { ResourceSpec, VolumeSpec } from "../worker_messages.ts";

/** A step of the resync controller, in ms. */
const STEP_MS = 100;
const SECTOR_BYTES = 512;

/** Where a Worker offers its exports. */
export type ExportPlace = ResourceSpec["listen"][number];

/**
 * Map a resource.
 *
 * @param config As resolved for this host.
 * @param options Where the exports are offered; who we are in registers, if
 * those decide.
 * @throws {Error} When there is not exactly one peer with a TCP address.
 */
export function specOf(
  config: ResourceConfig,
  options: {
    readonly listen: readonly ExportPlace[];
    readonly identity: RegisterIdentity | undefined;
  },
): ResourceSpec {
  const [peer, ...others] = config.peers;
  if (peer === undefined || others.length > 0) {
    throw new Error(
      `Resource ${config.name} has ${config.peers.length} peers: the mirror ` +
        "runs between two nodes. Leave one peer in the configuration",
    );
  }
  const [path] = peer.paths;
  const { net } = peer;
  return {
    resource: config.name,
    node: config.self.name,
    peerNode: peer.name,
    identity: options.identity,
    local: { hostname: path.local.ip, port: path.local.port },
    remote: { hostname: path.remote.ip, port: path.remote.port },
    secret: net.sharedSecret,
    secretAlgorithm: net.cramHmacAlg,
    ...net.dataIntegrityAlg === undefined
      ? {}
      : { integrityAlgorithm: net.dataIntegrityAlg },
    connectIntMs: net.connectIntMs,
    pingIntMs: net.pingIntMs,
    pingTimeoutMs: net.pingTimeoutMs,
    volumes: config.volumes.map((volume) =>
      volumeSpec(config, peer, volume, options.identity !== undefined)
    ),
    listen: options.listen,
  };
}

function volumeSpec(
  config: ResourceConfig,
  peer: PeerConfig,
  volume: DiskConfig,
  fencedByRegister: boolean,
): VolumeSpec {
  const { net } = peer;
  const theirs = peer.volumes.find((each) => each.volume === volume.volume);
  const { options } = volume;
  return {
    volume: volume.volume,
    minor: volume.minor,
    device: volume.device,
    paths: pathsOf(volume),
    diskTimeoutMs: options.diskTimeoutMs,
    config: {
      protocol: net.protocol,
      alExtents: options.alExtents,
      ...(options.sizeBytes > 0 ? { sizeBytes: options.sizeBytes } : {}),
      onIoError: options.onIoError,
      fencing: net.fencing,
      onNoData: config.options.onNoDataAccessible,
      splitBrain: policiesOf(net),
      verifyAlgorithm: net.verifyAlg ?? "",
      checksumAlgorithm: net.csumsAlg ?? "",
      checksumAfterCrashOnly: net.csumsAfterCrashOnly,
      onCongestion: net.onCongestion,
      congestionFillBytes: net.congestionFillBytes,
      congestionExtents: net.congestionExtents,
      maxEpochWrites: net.maxEpochSize ?? Infinity,
      peerTimeoutMs: net.timeoutMs * net.koCount,
      fencedByRegister,
      handlers: new Set(Object.keys(config.handlers)),
      resync: resyncOf(net, theirs?.resync),
      hardenings: HARDENED,
    },
  };
}

function pathsOf({ disk, metaDisk }: DiskConfig): BackingPaths | undefined {
  if (disk === undefined) return undefined;
  switch (metaDisk.kind) {
    case "internal":
      return { disk, metaDisk: disk, placement: { kind: "internal" } };
    case "flexible":
      return {
        disk,
        metaDisk: metaDisk.path,
        placement: { kind: "flexible" },
      };
    case "indexed":
      return {
        disk,
        metaDisk: metaDisk.path,
        placement: { kind: "indexed", index: metaDisk.index },
      };
  }
}

function policiesOf(net: NetOptions): VolumeConfig["splitBrain"] {
  const { rrConflict } = net;
  return {
    afterSb0pri: net.afterSb0pri,
    afterSb1pri: net.afterSb1pri,
    afterSb2pri: net.afterSb2pri,
    alwaysAsbp: net.alwaysAsbp,
    rrConflict: rrConflict === "call-pri-lost" || rrConflict === "violently"
      ? rrConflict
      : "disconnect",
  };
}

function resyncOf(
  net: NetOptions,
  resync: PeerConfig["volumes"][number]["resync"] | undefined,
): ResyncOptions {
  const bytes = (value: number | undefined, unit: number, otherwise: number) =>
    value === undefined ? otherwise : Math.round(value / unit);
  return {
    resyncRateKibPerSecond: bytes(resync?.resyncRateBytesPerS, 1024, 250),
    planAheadSteps: bytes(resync?.planAheadMs, STEP_MS, 20),
    delayTargetSteps: bytes(resync?.delayTargetMs, STEP_MS, 10),
    fillTargetSectors: bytes(resync?.fillTargetBytes, SECTOR_BYTES, 100),
    maxRateKibPerSecond: bytes(resync?.maxRateBytesPerS, 1024, 102_400),
    minRateKibPerSecond: bytes(resync?.minRateBytesPerS, 1024, 250),
    maxBuffers: net.maxBuffers,
  };
}
