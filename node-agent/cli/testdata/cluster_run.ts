/**
 * `kedge` run against a cluster that is not there, for tests.
 *
 * @module
 */

import { FakeCluster, groupView, nodeView, TRACKER } from "./fake_cluster.ts";
import { type FakeWorld, run } from "./fake_context.ts";

/** Run `kedge` in a world that knows the cluster's tracker. */
export function kedge(
  cluster: FakeCluster,
  argv: string[],
  world: FakeWorld = {},
): ReturnType<typeof run> {
  return run(argv, {
    fetch: cluster.fetch,
    ...world,
    env: { KEDGE_TRACKER: TRACKER, ...world.env },
  });
}

/** A cluster whose node 2 is changed. */
export function clusterWith(
  change: Partial<ReturnType<typeof nodeView>>,
): FakeCluster {
  const cluster = new FakeCluster();
  const group = groupView();
  cluster.groups = [{
    ...group,
    nodes: [nodeView(1), { ...nodeView(2), ...change }],
  }];
  return cluster;
}
