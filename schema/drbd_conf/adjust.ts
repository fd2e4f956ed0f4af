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
  /** `options`, `startup` or `handlers` differ, or the resource is new. */
  | { readonly kind: "resource-options" }
  /** A volume is new, was detached, or had no disk so far. */
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

/**
 * The steps from one to the other; none if they are the same. `undefined`: the
 * resource is not configured at all. Whether its connections are up is no part
 * of a configuration.
 */
export function adjustSteps(
  running: ResourceConfig | undefined,
  wanted: ResourceConfig,
): AdjustStep[] {
  const peers = pairs(running?.peers ?? [], wanted.peers, ({ name }) => name);
  const volumes = pairs<VolumeConfig, number>(
    running?.volumes ?? [],
    wanted.volumes,
    ({ volume }) => volume,
  );
  return [
    ...peers.filter(needsDisconnect)
      .map(({ key }) => ({ kind: "disconnect", peer: key } as const)),
    ...volumes.filter(needsDetach)
      .map(({ key }) => ({ kind: "detach", volume: key } as const)),
    ...running !== undefined && isSame(general(running), general(wanted))
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

/** Without a disk there is nothing to detach, unless the device changes. */
function needsDetach({ running, wanted }: Pair<VolumeConfig, number>) {
  if (running === undefined) return false;
  if (wanted === undefined || !isSame(device(running), device(wanted))) {
    return true;
  }
  return running.disk !== undefined &&
    !isSame(backing(running), backing(wanted));
}

function device({ minor, device }: VolumeConfig): unknown {
  return { minor, device };
}

function backing({ disk, metaDisk }: VolumeConfig): unknown {
  return { disk, metaDisk };
}

function volumeSteps(pair: Pair<VolumeConfig, number>): AdjustStep[] {
  const { key: volume, running, wanted } = pair;
  if (wanted === undefined) return [];
  if (
    running === undefined || !isSame(device(running), device(wanted)) ||
    (wanted.disk !== undefined && !isSame(backing(running), backing(wanted)))
  ) return [{ kind: "attach", volume }];
  if (wanted.disk === undefined) return [];
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
