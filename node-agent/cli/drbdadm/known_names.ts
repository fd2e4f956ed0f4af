/** Which resources `status` and `events2` are about. */

import { resolveResource, type ResourceConfig } from "@kedge/schema/drbd-conf";
import { resourcesHere, type Session } from "./session.ts";

/** Names on the command line; `RES/VOL` is about the resource. None: all. */
export function wantedNames(session: Session): string[] {
  if (session.line.words.length === 0) return [];
  return [...new Set(session.targets().map(({ config }) => config.name))];
}

/** The configuration is used for node numbers only: without one there are none. */
export function knownConfigs(session: Session): ResourceConfig[] {
  try {
    const conf = session.conf();
    return resourcesHere(session).map((resourceName) =>
      resolveResource(conf, { ...session.given.identity, resourceName })
    );
  } catch {
    return [];
  }
}
