/**
 * The handler `fence-peer`, as a careful operator has it: it reaches the other
 * node on another way and says what is true. Where it may, it switches the
 * other machine off.
 *
 * Exit codes: reference §2.9.
 *
 * @module
 */

import type { SimNode } from "./sim_node.ts";
import { other } from "./world.ts";

const OUTDATED = 4;
const PEER_IS_DEAD = 5;
const PEER_IS_PRIMARY = 6;
const SHOT = 7;
const FAILED = 1;
/** `outdate` is refused: they see one another again. */
const IS_CONNECTED = -6;
/** `outdate` is refused: it knows that we are behind, as a Primary would. */
const WE_ARE_BEHIND = -2;

/** Run it; the answer comes later. */
export function fencePeer(node: SimNode, answer: (code: number) => void): void {
  const { world } = node;
  const { scheduler, rng, plan } = world;
  const peer = world.nodes[other(node.id)];
  const isReachable = world.isHealing || rng.people.chance(0.8);
  scheduler.after(rng.people.range(5, 300), () => {
    const say = (code: number) => {
      world.mark(`fence-peer ${code}`);
      const isUnsure = node.core?.state.disk === "Consistent";
      if (isUnsure) world.mark(`fence-peer ${code} beside Consistent data`);
      node.trace(`fence-peer: ${code}`);
      scheduler.after(5, () => answer(code));
    };
    if (!peer.isAlive) return say(PEER_IS_DEAD);
    const shoot = () => {
      const maySwitchOff = plan.fencing === "resource-and-stonith" &&
        !world.isHealing;
      if (!maySwitchOff) return say(FAILED);
      peer.die(true);
      scheduler.after(400, () => peer.start());
      say(SHOT);
    };
    if (!isReachable || peer.isPaused) return shoot();
    if (peer.core?.state.role === "Primary") return say(PEER_IS_PRIMARY);
    peer.run((core) =>
      core.roles.outdate(({ code }) => {
        peer.trace(`outdate: ${code}`);
        if (code === 1) say(OUTDATED);
        else if (code === IS_CONNECTED) say(FAILED);
        else if (code === WE_ARE_BEHIND) say(PEER_IS_PRIMARY);
        else shoot();
      })
    );
  });
}
