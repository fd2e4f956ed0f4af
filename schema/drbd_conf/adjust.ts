/**
 * What differs between the running resource and the wanted one, in the order
 * in which it can be changed.
 *
 * @module
 */

import type { PeerConfig, ResourceConfig, VolumeConfig } from "./resource.ts";

/** One thing to change. */
export type AdjustStep =
  /** A peer is no longer wanted, or is reached in another way. */
  | { readonly kind: "disconnect"; readonly peer: string }
  /** A volume is no longer wanted, or is on another disk. */
  | { readonly kind: "detach"; readonly volume: number }
  /** `options`, `startup` or `handlers` differ. */
  | { readonly kind: "resource-options" }
  /** A volume is new, or was detached. */
  | { readonly kind: "attach"; readonly volume: number }
  /** Options of a disk differ. */
  | { readonly kind: "disk-options"; readonly volume: number }
  /** A peer is new, or was disconnected. */
  | { readonly kind: "connect"; readonly peer: string }
  /** Options of a connection differ. */
  | { readonly kind: "net-options"; readonly peer: string }
  /** Options of a resync differ. */
  | {
    readonly kind: "resync-options";
    readonly peer: string;
    readonly volume: number;
  };

/** The steps from one to the other; none if they are the same. */
export function adjustSteps(
  running: ResourceConfig,
  wanted: ResourceConfig,
): AdjustStep[] {
  const peers = pairs(running.peers, wanted.peers, ({ name }) => name);
  const volumes = pairs(running.volumes, wanted.volumes, (each) => each.volume);
  return [
    ...peers.filter(needsDisconnect)
      .map(({ key }) => ({ kind: "disconnect", peer: key } as const)),
    ...volumes.filter(needsDetach)
      .map(({ key }) => ({ kind: "detach", volume: key } as const)),
    ...isSame(general(running), general(wanted))
      ? []
      : [{ kind: "resource-options" } as const],
    ...volumes.flatMap(volumeSteps),
    ...peers.flatMap(peerSteps),
  ];
}

/** A running thing and the wanted one with the same key. */
interface Pair<T, K> {
  readonly key: K;
  readonly running: T | undefined;
  readonly wanted: T | undefined;
}

function pairs<T, K>(
  running: readonly T[],
  wanted: readonly T[],
  keyOf: (each: T) => K,
): Pair<T, K>[] {
  const keys = new Set([...running, ...wanted].map(keyOf));
  return [...keys].map((key) => ({
    key,
    running: running.find((each) => keyOf(each) === key),
    wanted: wanted.find((each) => keyOf(each) === key),
  }));
}

function general({ options, startup, handlers }: ResourceConfig): unknown {
  return { options, startup, handlers };
}

function needsDisconnect({ running, wanted }: Pair<PeerConfig, string>) {
  return running !== undefined &&
    (wanted === undefined || !isSame(waysTo(running), waysTo(wanted)));
}

function waysTo({ paths, nodeId }: PeerConfig): unknown {
  return { paths, nodeId };
}

function needsDetach({ running, wanted }: Pair<VolumeConfig, number>) {
  return running !== undefined &&
    (wanted === undefined || !isSame(backing(running), backing(wanted)));
}

function backing({ minor, device, disk, metaDisk }: VolumeConfig): unknown {
  return { minor, device, disk, metaDisk };
}

function volumeSteps(pair: Pair<VolumeConfig, number>): AdjustStep[] {
  const { key: volume, running, wanted } = pair;
  if (wanted === undefined) return [];
  if (running === undefined || needsDetach(pair)) {
    return [{ kind: "attach", volume }];
  }
  return isSame(running.options, wanted.options)
    ? []
    : [{ kind: "disk-options", volume }];
}

function peerSteps(pair: Pair<PeerConfig, string>): AdjustStep[] {
  const { key: peer, running, wanted } = pair;
  if (wanted === undefined) return [];
  if (running === undefined || needsDisconnect(pair)) {
    return [{ kind: "connect", peer }];
  }
  const steps: AdjustStep[] = isSame(running.net, wanted.net)
    ? []
    : [{ kind: "net-options", peer }];
  for (const { volume, resync } of wanted.volumes) {
    const own = running.volumes.find((each) => each.volume === volume);
    if (own !== undefined && !isSame(own.resync, resync)) {
      steps.push({ kind: "resync-options", peer, volume });
    }
  }
  return steps;
}

/** Resolved resources are plain data with a fixed order of keys. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
