/**
 * The hosts of the DRBD tutorial: `ha-node1` and `ha-node2`, with its files to
 * the letter.
 *
 * @module
 */

import { TUTORIAL_FILES } from "../../schema/drbd_conf/tutorial_fixture.ts";
import { MirrorHosts } from "./mirror_hosts.ts";
import type { Scope } from "./scope.ts";

/** Where the handlers of these hosts note that they were called. */
export const NOTES = "/run/handlers";

/** Size of each disk: room for the smallest xfs, and metadata. */
const DISK_BYTES = 400 * 1024 * 1024;
/** What is left of it for data, in KiB. */
export const DATA_KIB = 409_548;

/** Start both hosts; nothing runs on them yet. */
export async function startTutorial(scope: Scope): Promise<MirrorHosts> {
  const files = tutorialFiles();
  const host = (name: string, address: string) => ({
    name,
    address,
    diskBytes: DISK_BYTES,
    files,
  });
  return await MirrorHosts.start(scope, [
    host("ha-node1", "192.168.8.51/24"),
    host("ha-node2", "192.168.8.52/24"),
  ]);
}

/**
 * Two handlers beside those of the tutorial, which has none for a split brain:
 * they tell that they were called, and with what.
 */
function tutorialFiles(): Record<string, string> {
  const handlers = ["initial-split-brain", "split-brain"]
    .map((name) => `${name} "sh /etc/note ${name} ${NOTES}";`);
  const common = "/etc/drbd.d/global_common.conf";
  const text = TUTORIAL_FILES[common] ?? "";
  return {
    ...TUTORIAL_FILES,
    [common]: text.replace("handlers {", `handlers {\n${handlers.join("\n")}`),
    "/etc/note": 'mkdir -p "$2"; env | grep ^DRBD_ | sort >"$2/$1"\n',
  };
}
