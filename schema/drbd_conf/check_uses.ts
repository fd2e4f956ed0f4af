/**
 * Checks what only one resource may use: addresses, minors, metadata, disks.
 *
 * @module
 */

import type { HostSection, MetaDisk, ResourceSection } from "./ast.ts";
import type { CheckContext } from "./check.ts";
import type { Place } from "./errors.ts";
import {
  type HostVolume,
  META_DISK_FALLBACK,
  namesOf,
  placeOf,
  volumesOf,
} from "./inherit.ts";
import { Uses } from "./uses.ts";

/** One side of one resource. */
interface Side {
  readonly resource: ResourceSection;
  readonly host: HostSection;
}

/** Refuses what is used twice, or warns. */
export function checkUses(context: CheckContext): void {
  const sides = context.conf.resources.flatMap((resource) =>
    resource.hosts.map((host) => ({ resource, host }))
  );
  const uses = new Uses();
  for (const { host } of sides) claimAddress(uses, host);
  for (const side of sides) claimVolumes(context, uses, side);
  warnOfDisks(context, sides);
}

function claimAddress(uses: Uses, host: HostSection): void {
  const address = host.address?.value;
  if (host.address === undefined || address === undefined) return;
  // With a proxy every host has the same loopback address.
  if (address.ip === "127.0.0.1") return;
  uses.claim("IP", `${address.ip}:${address.port}`, host.address);
}

function claimVolumes(
  { conf }: CheckContext,
  uses: Uses,
  { resource, host }: Side,
): void {
  for (const name of hostKeys(conf, host)) {
    for (const volume of volumesOf(resource, host)) {
      const at = placeOf(volume.device, volume);
      const minor = volume.device?.value.minor;
      uses.claim("device-minor", `device-minor:${name}:${minor}`, at);
      const slot = slotOf(volume, host);
      if (slot !== undefined) {
        uses.claim(
          "meta-disk",
          `${name}:${slot}`,
          placeOf(volume.metaDisk, volume),
        );
      }
    }
  }
}

/** What tells a host from others: its names, else its address. */
function hostKeys(
  conf: CheckContext["conf"],
  host: HostSection,
): readonly string[] {
  const names = namesOf(conf, host);
  return names.length > 0 ? names : [host.address?.value.ip ?? ""];
}

function slotOf(volume: HostVolume, host: HostSection): string | undefined {
  const meta = metaOf(volume, host);
  if (meta === undefined || meta.kind === "internal") return undefined;
  const slot = meta.kind === "indexed" ? meta.index : "flexible";
  return `${meta.path}[${slot}]`;
}

function metaOf(volume: HostVolume, host: HostSection): MetaDisk | undefined {
  const hasNone = volume.disk?.value === "none" || host.kind === "stacked";
  if (hasNone && volume.metaDisk === undefined) return undefined;
  return volume.metaDisk?.value ?? META_DISK_FALLBACK;
}

/** DRBD takes a disk twice, and loses data as soon as both are up. */
function warnOfDisks(context: CheckContext, sides: readonly Side[]): void {
  const seen = new Map<string, Place & { readonly kind: string }>();
  for (const { resource, host } of sides) {
    for (const name of hostKeys(context.conf, host)) {
      for (const use of diskUses(resource, host)) {
        const key = `${name}\n${use.path}`;
        const first = seen.get(key);
        if (first === undefined) seen.set(key, use);
        else if (use.kind !== "slot" || first.kind !== "slot") {
          warnOfDisk(context, { resource, use, first });
        }
      }
    }
  }
}

interface DiskUse extends Place {
  readonly path: string;
  /** Slots share a disk, everything else needs one of its own. */
  readonly kind: "data" | "flexible" | "slot";
}

function diskUses(resource: ResourceSection, host: HostSection): DiskUse[] {
  return volumesOf(resource, host).flatMap((volume) => {
    const uses: DiskUse[] = [];
    const disk = volume.disk;
    if (disk !== undefined && disk.value !== "none") {
      uses.push({ ...placeOf(disk, volume), path: disk.value, kind: "data" });
    }
    const meta = volume.metaDisk?.value;
    if (meta !== undefined && meta.kind !== "internal") {
      const kind = meta.kind === "indexed" ? "slot" : "flexible";
      const at = placeOf(volume.metaDisk, volume);
      uses.push({ ...at, path: meta.path, kind });
    }
    return uses;
  });
}

function warnOfDisk(
  { warnings }: CheckContext,
  { resource, use, first }: {
    readonly resource: ResourceSection;
    readonly use: DiskUse;
    readonly first: Place;
  },
): void {
  warnings.add("shared-disk", {
    file: use.file,
    line: use.line,
    text: `in resource ${resource.name}: disk ${use.path} is also used at ` +
      `${first.file}:${first.line}; what one writes, the other destroys`,
  }, { resource: resource.name });
}
