/**
 * Clients of a simulated group: upload, append, delete and read, through any
 * node, with retries by idempotency key.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import { ownerOf } from "@kedge/schema/register";
import type { SimAgent } from "./sim_agent.ts";
import type { World } from "./world.ts";

/** Wait of a client for an answer, in ms: some give up before the agent does. */
const PATIENCE_MS = { least: 300, most: 6000 } as const;

/** Start the clients of a run; they stop at a time. */
export function startClients(world: World, untilMs: number): void {
  for (let client = 0; client < world.config.clients; client++) {
    think(world, untilMs);
  }
}

/** Read a file through a node and check the answer. */
export function readAndCheck(
  world: World,
  agent: SimAgent,
  id: string,
  then: (kind: string) => void = () => {},
): void {
  const startedMs = world.scheduler.nowMs;
  const wasInSync = inSync(world, agent.node);
  const { life } = agent;
  agent.run(() =>
    agent.files.read(id, (result) => {
      if (agent.life !== life) return;
      agent.note(`read ${id}: ${result.kind}`);
      const strict = wasInSync && inSync(world, agent.node);
      world.history.wasRead({ agent, id, startedMs, result, strict });
      then(result.kind);
    })
  );
}

function think(world: World, untilMs: number): void {
  const { scheduler, rng, config } = world;
  scheduler.after(rng.clients.range(0, 2 * config.thinkMs), () => {
    if (scheduler.nowMs >= untilMs) return;
    act(world, () => think(world, untilMs));
  });
}

function act(world: World, then: () => void): void {
  const { rng, history, config } = world;
  const agent = rng.clients.pick([...world.agents.values()]);
  const items = history.items;
  const isAppend = rng.clients.chance(config.appends);
  const kind = rng.clients.next();
  if (items.length === 0) return upload(world, agent, then);
  const { id } = rng.clients.pick(items.slice(-config.hotFiles));
  // A file that is gone is left alone after a while.
  const isGone = history.of(id).some((item) => item.kind === "delete");
  if (isGone && rng.clients.chance(0.5)) return upload(world, agent, then);
  if (isAppend) return append(world, agent, id, then);
  if (kind < 0.5) return upload(world, agent, then);
  if (kind < 0.65) return remove(world, agent, id, then);
  const next = once(then);
  if (agent.isUp) readAndCheck(world, agent, id, next);
  world.scheduler.after(agent.isUp ? 1000 : 20, next);
}

function upload(world: World, agent: SimAgent, then: () => void): void {
  const { rng } = world;
  const token = world.next();
  const level = rng.clients.pick(["A", "B", "B", "C"] as const);
  const large = rng.clients.chance(world.config.large);
  const request = {
    kind: "upload",
    id: `f${token}`,
    token,
    level,
    large,
    key: `k${token}`,
  } as const;
  const retries = rng.clients.between(0, 2);
  attempt(world, agent, request, retries, then);
}

function append(
  world: World,
  agent: SimAgent,
  id: string,
  then: () => void,
): void {
  const level = world.rng.clients.pick(["B", "C"] as const);
  // A client is sent to the owner, mostly.
  agent = ownerOfFile(world, id) ?? agent;
  const token = world.next();
  const rest = { id, token, level, large: false, key: undefined };
  attempt(world, agent, { kind: "append", ...rest }, 0, then);
}

function ownerOfFile(world: World, id: string): SimAgent | undefined {
  if (world.rng.clients.chance(0.1)) return undefined;
  for (const agent of world.agents.values()) {
    const file = agent.store.files.get(id);
    if (file === undefined) continue;
    const owner = ownerOf(world.kv.register, file.entry.origin);
    return owner === undefined ? undefined : world.agents.get(owner);
  }
  return undefined;
}

function remove(
  world: World,
  agent: SimAgent,
  id: string,
  then: () => void,
): void {
  const level = world.rng.clients.pick(["A", "B", "C", "C"] as const);
  const token = world.next();
  const rest = { id, token, level, large: false, key: undefined };
  attempt(world, agent, { kind: "delete", ...rest }, 0, then);
}

type Request = Omit<Parameters<SimAgent["files"]["change"]>[0], "then">;

function attempt(
  world: World,
  agent: SimAgent,
  request: Request,
  retries: number,
  then: () => void,
): void {
  const next = once((isDone: boolean) => {
    if (isDone || retries === 0) return then();
    const pauseMs = world.rng.clients.range(20, 800);
    world.scheduler.after(
      pauseMs,
      () => attempt(world, agent, request, retries - 1, then),
    );
  });
  if (!agent.isUp) { // connection refused
    world.scheduler.after(20, () => next(false));
    return;
  }
  agent.run(() =>
    agent.files.change({
      ...request,
      then: (result) => {
        agent.note(`#${request.token} ${JSON.stringify(result)}`);
        world.mark(`${request.kind} ${result.kind}`);
        if (result.kind === "ok") {
          world.history.acknowledged(request.token, result.level);
        }
        next(result.kind === "ok");
      },
    })
  );
  const patienceMs = world.rng.clients.chance(0.5)
    ? PATIENCE_MS.least
    : world.rng.clients.range(PATIENCE_MS.least, PATIENCE_MS.most);
  world.scheduler.after(patienceMs, () => next(false));
}

function inSync(world: World, node: NodeId): boolean {
  return world.kv.register.insync.includes(node);
}

function once<Args extends unknown[]>(
  work: (...args: Args) => void,
): (...args: Args) => void {
  let isDone = false;
  return (...args) => {
    if (isDone) return;
    isDone = true;
    work(...args);
  };
}
