import { deepEqual, equal, match } from "node:assert/strict";
import { Problem, problemResponse } from "@kedge/schema";
import {
  ChangeVolumeBody,
  changeVolumeRegister,
  createVolumeRegister,
  type VolumeMember,
  type VolumeRegister,
} from "@kedge/schema/volume";
import type { RegisterParties } from "../register_ports.ts";
import { Trackers } from "./tracker_client.ts";
import { TrackerVolumeRegisters } from "./volume_registers.ts";

const OF = { resource: "mysql", volume: 0 };
const A: VolumeMember = {
  node: 1,
  name: "alfa",
  disk: "AAAAAAAAAAAAAAA1",
  boot: "00000000-0000-4000-8000-000000000001",
};
const B: VolumeMember = {
  ...A,
  node: 2,
  name: "bravo",
  disk: "AAAAAAAAAAAAAAA2",
};

/** How a tracker treats the next requests. */
type Mood = "well" | "away" | "loses-answers";

/** A tracker with one register and moods. */
class FakeTracker implements AsyncDisposable {
  register: VolumeRegister | undefined;
  mood: Mood = "well";
  requests: string[] = [];
  readonly log: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #trackers: Trackers;
  readonly registers: TrackerVolumeRegisters;

  constructor() {
    const onListen = () => {};
    const options = { hostname: "127.0.0.1", port: 0, onListen };
    this.#server = Deno.serve(options, (request) => this.#answer(request));
    const { port } = this.#server.addr;
    this.#trackers = new Trackers([`http://127.0.0.1:${port}`], {
      timeoutMs: 1_000,
      caCerts: [],
    });
    const say = (text: string) => this.log.push(text);
    this.registers = new TrackerVolumeRegisters({
      identity: { node: A.node, name: A.name },
      trackers: this.#trackers,
      log: { info: say, warn: say },
    });
  }

  /** A promotes on a new volume, then takes B in. */
  async begin(): Promise<void> {
    equal((await this.promote(true)).outcome, "done");
    equal((await this.ask("grow")).outcome, "done");
  }

  promote(force = false, parties: Partial<RegisterParties> = {}) {
    const wish = { kind: "promote", force } as const;
    return this.registers.change(OF, wish, partiesOf(parties));
  }

  ask(
    kind: "shrink" | "grow" | "leave" | "demote",
    parties: Partial<RegisterParties> = {},
  ) {
    return this.registers.change(OF, { kind }, partiesOf(parties));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#trackers.close();
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const text = await request.text();
    if (this.mood === "away") {
      return problemResponse(new Problem("kv-unavailable", "The KV is away"));
    }
    try {
      const answer = this.#changed(request.method, text);
      if (this.mood === "loses-answers") {
        return problemResponse(new Problem("kv-uncertain", "Nobody knows"));
      }
      return Response.json(answer);
    } catch (error) {
      if (error instanceof Problem) return problemResponse(error);
      throw error;
    }
  }

  #changed(method: string, text: string): VolumeRegister {
    const { register } = this;
    if (method === "GET") {
      if (register !== undefined) return register;
      throw new Problem("volume-not-found", "none");
    }
    const { under, request, change } = ChangeVolumeBody.parse(JSON.parse(text));
    this.requests.push(request);
    if (register?.request === request) return register;
    if (register === undefined) {
      if (change.kind !== "create" && change.kind !== "force") {
        throw new Problem("volume-not-found", "none");
      }
      const gen = crypto.randomUUID();
      this.register = createVolumeRegister({ ...OF, gen, request }, change);
      return this.register;
    }
    const isCurrent = change.kind === "force" ||
      under?.epoch === register.epoch && under.gen === register.gen;
    if (!isCurrent) throw new Problem("stale-epoch", "stale", { register });
    const result = changeVolumeRegister(register, change, request);
    if (!result.ok) throw new Problem("volume-refused", "no", { register });
    this.register = result.register;
    return result.register;
  }
}

function partiesOf(parties: Partial<RegisterParties>): RegisterParties {
  return {
    member: A,
    peer: B,
    isUpToDate: true,
    isEqual: true,
    epoch: 0,
    mode: "C",
    ...parties,
  };
}

Deno.test("the first promotion needs a word; then the register is there", async () => {
  await using tracker = new FakeTracker();
  const refused = await tracker.promote();
  equal(refused.outcome, "refused");
  match(refused.why ?? "", /primary --force mysql" once/);
  await tracker.begin();
  deepEqual(tracker.register?.insync, [A, B]);
});

Deno.test("a change whose answer was lost is asked for again, made once", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  tracker.mood = "loses-answers";
  equal((await tracker.ask("shrink")).outcome, "unknown");
  equal(tracker.register?.epoch, 2);
  tracker.mood = "well";
  tracker.requests = [];
  deepEqual(await tracker.ask("shrink"), { outcome: "done", epoch: 2 });
  equal(tracker.register?.request, tracker.requests[0]);
});

Deno.test("nobody answers: unknown, said once, and again when somebody does", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  tracker.mood = "away";
  equal((await tracker.ask("shrink")).outcome, "unknown");
  equal((await tracker.ask("shrink")).outcome, "unknown");
  equal(tracker.log.length, 1);
  equal((await tracker.promote()).outcome, "unknown");
  tracker.mood = "well";
  equal((await tracker.ask("shrink")).outcome, "done");
  match(tracker.log.at(-1) ?? "", /answers again/);
});

Deno.test("a Primary that was replaced is refused, and told by whom", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  const { register } = tracker;
  if (register === undefined) throw new Error("no register");
  tracker.register = { ...register, epoch: 2, primary: B.node, insync: [B] };
  const answer = await tracker.ask("shrink");
  equal(answer.outcome, "refused");
  match(answer.why ?? "", /in sync .*: node 2 "bravo" \(Primary\)/);
  // R8: the role must be won again before anything else.
  equal((await tracker.ask("grow")).outcome, "refused");
});

Deno.test("who did not win the role here may not shrink", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  const other = new FakeTracker();
  other.register = tracker.register;
  equal((await other.ask("shrink")).outcome, "refused");
  await other[Symbol.asyncDispose]();
});

Deno.test("a Primary without a good disk does not shrink, it leaves", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  for (const bad of [{ member: undefined }, { isUpToDate: false }]) {
    equal((await tracker.ask("shrink", bad)).outcome, "unknown");
  }
  equal(tracker.register?.epoch, 1);
  const gone = { member: undefined, isUpToDate: false };
  equal((await tracker.ask("leave", gone)).outcome, "done");
  deepEqual(tracker.register?.insync, [B]);
});

Deno.test("a register that went back freezes; a person's word ends that", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  const old = tracker.register;
  equal((await tracker.ask("shrink")).outcome, "done");
  equal((await tracker.ask("grow")).outcome, "done");
  tracker.register = old;
  equal((await tracker.ask("shrink")).outcome, "unknown");
  match(tracker.log.at(-1) ?? "", /went back.*epoch 1.*knows 2/);
  equal((await tracker.promote(false, { epoch: 2 })).outcome, "refused");

  tracker.registers.confirm("other");
  equal((await tracker.ask("shrink")).outcome, "unknown");
  tracker.registers.confirm("mysql");
  deepEqual(await tracker.ask("shrink"), { outcome: "done", epoch: 1002 });
});

Deno.test("a register that is gone freezes, too", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  tracker.register = undefined;
  equal((await tracker.ask("shrink")).outcome, "unknown");
  match(tracker.log.at(-1) ?? "", /is gone from the KV/);
  const refused = await tracker.promote(false, { epoch: 1 });
  match(refused.why ?? "", /is gone from the KV; this disk knows epoch 1/);
  const forced = await tracker.promote(true, { epoch: 1 });
  deepEqual(forced, { outcome: "done", epoch: 1001 });
});

Deno.test("an operator's word for this Primary is adopted", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  const { register } = tracker;
  if (register === undefined) throw new Error("no register");
  tracker.register = { ...register, epoch: 1001, insync: [A] };
  // It says what a shrink would: done. A grow is asked for again under it.
  equal((await tracker.ask("grow")).outcome, "unknown");
  equal((await tracker.ask("grow")).outcome, "done");
  deepEqual(tracker.register.insync, [A, B]);
});

Deno.test("force does not lie about a node that is in sync", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  equal((await tracker.promote(true)).outcome, "done");
  equal(tracker.register?.note, "");
  // With a disk that is not good it is lossy, whatever the register says.
  equal((await tracker.promote(true, { isUpToDate: false })).outcome, "done");
  equal(tracker.register?.note, "forced, lossy");
});

Deno.test("questions about one volume are asked in their order", async () => {
  await using tracker = new FakeTracker();
  await tracker.begin();
  const answers = await Promise.all([
    tracker.ask("shrink"),
    tracker.ask("grow"),
    tracker.ask("shrink"),
    tracker.ask("demote"),
  ]);
  deepEqual(answers.map(({ outcome }) => outcome), Array(4).fill("done"));
  equal(tracker.register?.epoch, 3);
  equal(tracker.register?.primary, null);
});
