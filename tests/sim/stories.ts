/**
 * Faults that belong together: sequences that random draws seldom make, and that
 * the rules of the protocol exist for. Times and nodes are still drawn.
 *
 * @module
 */

import type { Config, Fault, FaultKind } from "./plan.ts";
import type { Prng } from "./prng.ts";

type Story = (rng: Prng, config: Config) => Partial<Config>;

/** Many clients on few files. */
const HOT = { thinkMs: 5, clients: 4, appends: 0.8, large: 0, giveUpMs: 5000 };

const STORIES: readonly Story[] = [
  // A node in sync is cut off, taken out, and asked for deleted files.
  (rng, { nodes }) => ({
    ...HOT,
    thinkMs: 20,
    appends: 0.1,
    hotFiles: 150,
    ackTimeoutMs: 400,
    workMs: 9000,
    faults: [
      fault("isolate", rng.between(0, nodes - 1), rng, [1000, 2000], 6500),
    ],
  }),
  // An owner with a slow disk is killed with changes on the way, and is back
  // before anybody misses it.
  (rng, { nodes }) => ({
    ...HOT,
    hotFiles: rng.between(1, 3),
    ackTimeoutMs: 1000,
    cautious: false,
    workMs: 5000,
    faults: [1000, 2200, 3400].flatMap((atMs) => {
      const a = rng.between(0, nodes - 1);
      return [
        fault("slow-disk", a, rng, [atMs, atMs + 50], rng.between(200, 500)),
        fault("kill", a, rng, [atMs + 60, atMs + 350], rng.between(5, 60)),
      ];
    }),
  }),
  // A member comes back while its files are changed by another owner.
  (rng, { nodes }) => ({
    ...HOT,
    appends: 0.985,
    hotFiles: 1,
    regrowDelayMs: 500,
    ackTimeoutMs: 600,
    kvLoss: 0,
    workMs: 7000,
    faults: [800, 2800, 4800].flatMap((atMs) => {
      const a = rng.between(0, nodes - 1);
      return [
        fault("isolate", a, rng, [atMs, atMs + 100], rng.between(700, 1000)),
        fault("clog", a + 1, rng, [atMs + 500, atMs + 900], 1800),
      ];
    }),
  }),
  // A request to grow is late; meanwhile who promised was killed and cut off.
  (rng, { nodes }) => ({
    ...HOT,
    thinkMs: 20,
    hotFiles: 20,
    kvLate: 0.6,
    kvLoss: 0,
    regrowDelayMs: 500,
    ackTimeoutMs: 300,
    cautious: false,
    workMs: 9000,
    faults: [800, 4500].flatMap((atMs) => {
      const a = rng.between(0, nodes - 1);
      return [
        fault("cut", a, rng, [atMs, atMs + 100], 900),
        ...[0, 1].flatMap((n) => [
          fault("kill", a + n, rng, [atMs + 1800, atMs + 2600], 10),
          fault("cut", a, rng, [atMs + 1800, atMs + 2600], 2500),
        ]),
      ];
    }),
  }),
  // A disk is replaced, and soon the other one.
  (rng, { nodes }) => {
    const a = rng.between(0, nodes - 1);
    return {
      thinkMs: 20,
      workMs: 8000,
      liar: -1,
      faults: [
        fault("wipe", a, rng, [1500, 2500], rng.between(10, 300)),
        fault("kill", a + 1, rng, [2600, 4500], rng.between(500, 3000)),
        fault("wipe", a + 1, rng, [2600, 6000], rng.between(10, 300)),
      ],
    };
  },
  // Power goes for a moment; then the node that had everything dies.
  (rng, { nodes }) => {
    const a = rng.between(0, nodes - 1);
    return {
      ...HOT,
      thinkMs: rng.pick([5, 20]),
      appends: 0.4,
      hotFiles: rng.between(1, 8),
      ackTimeoutMs: 400,
      liar: -1,
      workMs: 8000,
      faults: [1200, 5000].flatMap((atMs) => [
        fault("slow-disk", a, rng, [atMs, atMs + 200], 300),
        fault("power", a, rng, [atMs + 100, atMs + 400], rng.between(10, 100)),
        fault("kill", a + 1, rng, [atMs + 150, atMs + 900], 2500),
      ]),
    };
  },
  // The KV is restored while one node does not reach it.
  (rng, { nodes }) => {
    const a = rng.between(0, nodes - 1);
    return {
      ...HOT,
      thinkMs: 20,
      hotFiles: 4,
      workMs: 8000,
      faults: [
        fault("no-tracker", a, rng, [800, 1500], 5500),
        fault("kv-restore", a, rng, [1500, 2500], rng.between(200, 2000)),
      ],
    };
  },
  // Power goes while no tracker answers; the node is stopped cleanly before it
  // can leave the set.
  (rng, { nodes }) => {
    const a = rng.between(0, nodes - 1);
    return {
      ...HOT,
      hotFiles: rng.between(1, 2),
      ackTimeoutMs: 1000,
      cautious: false,
      startsInSync: true,
      liar: -1,
      workMs: 5000,
      faults: [
        // Not for longer, or the others vouch for it and mend what it lost.
        fault("kv-outage", a, rng, [1000, 1100], rng.between(800, 1000)),
        fault("power", a, rng, [1150, 1500], rng.between(10, 60)),
        fault("stop", a, rng, [1560, 1790], rng.between(10, 60)),
        fault("kill", a + 1, rng, [2700, 3200], 2500),
      ],
    };
  },
  // A node is set back, and the others die just then.
  (rng, { nodes }) => {
    const a = rng.between(0, nodes - 1);
    return {
      ...HOT,
      thinkMs: 20,
      appends: 0.2,
      hotFiles: 40,
      startsInSync: true,
      liar: -1,
      collects: false,
      workMs: 8000,
      faults: [
        fault("set-back", a, rng, [700, 900], 1500),
        fault("kill", a + 1, rng, [2200, 2450], rng.between(2000, 4000)),
        fault("kill", a + 2, rng, [2200, 2450], rng.between(2000, 4000)),
      ],
    };
  },
];

/** Replace the faults of a swarm by a story: this one, or any. */
export function tellStory(config: Config, rng: Prng, index?: number): Config {
  const drawn = rng.pick(STORIES);
  const story = index === undefined ? drawn : STORIES[index] ?? drawn;
  const told = { ...config, ...story(rng, config) };
  const faults = told.faults.filter((one) => one.atMs <= told.workMs)
    .toSorted((x, y) => x.atMs - y.atMs);
  return { ...told, collects: told.collects && told.liar < 0, faults };
}

function fault(
  kind: FaultKind,
  a: number,
  rng: Prng,
  [from, to]: readonly [number, number],
  ms: number,
): Fault {
  const b = rng.between(1, 2);
  return { atMs: rng.between(from, to), kind, a, b, ms: Math.round(ms) };
}
