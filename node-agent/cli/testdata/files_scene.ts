/**
 * What tests of the file commands play on: a fake cluster and a folder.
 *
 * @module
 */

import { join } from "node:path";
import { type FakeWorld, type Ran, run } from "./fake_context.ts";
import { FakeCluster, TRACKER } from "./fake_cluster.ts";

/** A file that is asked for. */
export const ID = "group1/M00/00/00/photo.jpg";

/** Run commands against a fake cluster, with a folder of their own. */
export async function scene(
  play: (tools: {
    cluster: FakeCluster;
    dir: string;
    kedge: (argv: string[], world?: FakeWorld) => Promise<Ran>;
  }) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-cli-" });
  const cluster = new FakeCluster();
  try {
    await play({
      cluster,
      dir,
      kedge: (argv, world = {}) =>
        run(argv, {
          fetch: cluster.fetch,
          ...world,
          env: {
            KEDGE_TRACKER: TRACKER,
            KEDGE_API_KEY: "secret",
            ...world.env,
          },
        }),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Write a file; its path. */
export async function write(
  dir: string,
  name: string,
  text: string,
): Promise<string> {
  const path = join(dir, name);
  await Deno.writeTextFile(path, text);
  return path;
}
