/**
 * `resync-after`: whose resync waits for whose. Pure.
 *
 * A volume waits while one that it comes after, directly or through others, is
 * resynced or verified, or paused itself. One without a disk here is waited for
 * by nobody, nor is what follows it. A circle is refused when it is configured;
 * two starts at once may make one all the same: nobody in it waits.
 *
 * Source: DRBD 8.4 (_drbd_may_sync_now), reference §6.6.
 *
 * @module
 */

/** What of a volume decides about others. */
export interface OrderedState {
  readonly connection: string;
  readonly disk: string;
  readonly role: string;
  readonly pausedByDependency: boolean;
  readonly pausedByPeer: boolean;
  readonly pausedByUser: boolean;
}

/** A volume that runs. */
export interface OrderedVolume {
  /** Its name among all: {@link volumeKey}. */
  readonly key: string;
  /** The volume that goes first, if there is one. */
  readonly after: string | undefined;
  readonly state: OrderedState;
}

const BUSY: ReadonlySet<string> = new Set([
  "SyncSource",
  "SyncTarget",
  "VerifyS",
  "VerifyT",
  "PausedSyncS",
  "PausedSyncT",
]);

/** A volume's name among all of a host. */
export function volumeKey(resource: string, volume: number): string {
  return `${resource}/${volume}`;
}

/** Volumes whose pause must change, and into what. */
export function dependencyChanges(
  volumes: readonly OrderedVolume[],
): ReadonlyMap<string, boolean> {
  const byKey = new Map(volumes.map((volume) => [volume.key, volume]));
  const circles = new Set(circleMembers(volumes));
  const changes = new Map<string, boolean>();
  for (const volume of volumes) {
    if (isIdle(volume.state)) continue;
    const waits = !circles.has(volume.key) && mustWait(volume, byKey);
    if (waits !== volume.state.pausedByDependency) {
      changes.set(volume.key, waits);
    }
  }
  return changes;
}

/** Volumes that come after themselves, in order. */
export function circleMembers(
  volumes: readonly Pick<OrderedVolume, "key" | "after">[],
): string[] {
  const afters = new Map(volumes.map(({ key, after }) => [key, after]));
  return volumes.map(({ key }) => key)
    .filter((key) => isInCircle(key, (one) => afters.get(one))).sort();
}

/** Whether somebody who follows `start` by `afterOf` comes back to it. */
export function isInCircle(
  start: string,
  afterOf: (key: string) => string | undefined,
): boolean {
  const seen = new Set<string>();
  for (let key = afterOf(start); key !== undefined; key = afterOf(key)) {
    if (key === start) return true;
    if (seen.has(key)) return false;
    seen.add(key);
  }
  return false;
}

function mustWait(
  volume: OrderedVolume,
  byKey: ReadonlyMap<string, OrderedVolume>,
): boolean {
  const seen = new Set([volume.key]);
  let { after } = volume;
  while (after !== undefined && !seen.has(after)) {
    seen.add(after);
    const first = byKey.get(after);
    if (first === undefined || first.state.disk === "Diskless") return false;
    const { state } = first;
    if (BUSY.has(state.connection)) return true;
    if (state.pausedByPeer || state.pausedByUser) return true;
    after = first.after;
  }
  return false;
}

/** Nothing to pause: the flag would be dropped. */
function isIdle({ connection, disk, role }: OrderedState): boolean {
  return connection === "StandAlone" && disk === "Diskless" &&
    role === "Secondary";
}
