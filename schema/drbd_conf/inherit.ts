/**
 * What a host inherits from its resource.
 *
 * @module
 */

import type {
  DrbdConf,
  HostSection,
  MetaDisk,
  ResourceSection,
  Setting,
  VolumeSection,
} from "./ast.ts";
import type { Place } from "./errors.ts";

/** A volume of a host, with what its resource says of it. */
export interface HostVolume extends VolumeSection {
  /** `disk { … }` of the volume: resource first, then host. */
  readonly options: readonly Setting[];
}

/** Without `meta-disk`, metadata is internal (as 9 has it; 8.4 refuses). */
export const META_DISK_FALLBACK: MetaDisk = { kind: "internal" };

/** The volumes of a host, by number. */
export function volumesOf(
  resource: ResourceSection,
  host: HostSection,
): HostVolume[] {
  const volumes = new Map<number, HostVolume>();
  for (const volume of [...resource.volumes, ...host.volumes]) {
    const outer = volumes.get(volume.volume);
    const options = [...outer?.options ?? [], ...volume.options ?? []];
    volumes.set(volume.volume, { ...outer, ...volume, options });
  }
  return [...volumes.values()].sort((a, b) => a.volume - b.volume);
}

/** Host names of a section; of a stacked one those of the resource below. */
export function namesOf(conf: DrbdConf, host: HostSection): readonly string[] {
  if (host.kind !== "stacked") return host.names;
  const lower = conf.resources.find(({ name }) => name === host.lower);
  return lower?.hosts.flatMap(({ names }) => names) ?? [];
}

/** How a host is called in messages and status: a name, or `IP:PORT`. */
export function hostName(conf: DrbdConf, host: HostSection): string {
  const name = namesOf(conf, host)[0];
  const address = host.address?.value;
  if (name !== undefined) return name;
  return address === undefined ? "" : `${address.ip}:${address.port}`;
}

/**
 * Node IDs by host, in the order of the resource. All hosts have written ones
 * or none; then they are numbered in the order of their names, so that every
 * host finds the same numbers whatever the order of its file.
 */
export function nodeIds(conf: DrbdConf, resource: ResourceSection): number[] {
  const names = resource.hosts.map((host) => hostName(conf, host));
  const sorted = names.toSorted();
  return resource.hosts.map((host, index) =>
    host.nodeId?.value ?? sorted.indexOf(names[index] ?? "")
  );
}

/** Where something of a volume is said; the volume itself if it is missing. */
export function placeOf(value: Place | undefined, volume: Place): Place {
  const at = value ?? volume;
  return { file: at.file, line: at.line };
}
