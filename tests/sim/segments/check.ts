/**
 * What must hold whenever a process has started or nothing is under way.
 *
 * @module
 */

import { segmentToCompact } from "@kedge/schema/disk/segment";
import type { World } from "./world.ts";

/** A promise that was broken. */
export class Broken extends Error {}

/**
 * Nothing that is there is lost, nothing deleted is back.
 *
 * @param deleted Files that were ever deleted, also if a power loss undid it:
 * their records may be marked already.
 */
export function check(world: World, deleted: ReadonlySet<string>): void {
  const { files, waiting, places, burials } = world.index.now;
  const rebuilt = rebuild(world);
  for (const [id, state] of files) {
    const place = places.get(id);
    if (state === "tombstone") {
      if (place !== undefined) {
        throw new Broken(`${id} is deleted, has a place`);
      }
      continue;
    }
    if (place !== undefined) {
      const cell = world.disk.read(place.segment, place.offset);
      if (cell?.id !== id) throw new Broken(`${id} is lost`);
      // A record that decayed may be marked, by a repair that was undone.
      const mayBeMarked = deleted.has(id) || cell.isRotten === true;
      if (!rebuilt.has(id) && !mayBeMarked) {
        throw new Broken(`${id} is lost by a rebuilt index`);
      }
    } else if (!waiting.has(id)) throw new Broken(`${id} has no bytes`);
  }
  // A delete on a path that takes nothing is not settled.
  if (world.isFenced) return;
  for (const id of rebuilt) {
    if (files.get(id) === "present") continue;
    if (burials.some((one) => one.id === id)) continue;
    throw new Broken(`${id} comes back with a rebuilt index`);
  }
}

/** Nothing is left to be given back. */
export function checkSpace(world: World): void {
  const rows = world.index.now.segmentRows();
  const last = rows.at(-1)?.segment;
  const known = new Set(rows.map(({ segment }) => segment));
  const stray = world.disk.segments.find((segment) => !known.has(segment));
  if (stray !== undefined) throw new Broken(`nobody knows segment ${stray}`);
  const left = segmentToCompact(rows, (segment) => segment === last);
  if (left !== undefined) {
    throw new Broken(`segment ${left.segment} is not given back`);
  }
}

/** Files that `rebuild-index` finds: the last record of each counts. */
export function rebuild({ disk }: World): Set<string> {
  const found = new Set<string>();
  for (const segment of disk.segments) {
    for (const { id, isLive } of disk.scan(segment)) {
      if (isLive) found.add(id);
      else found.delete(id);
    }
  }
  return found;
}
