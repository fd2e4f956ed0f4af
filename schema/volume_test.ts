import assert from "node:assert/strict";
import fc from "fast-check";
import {
  changeVolumeRegister,
  createVolumeRegister,
  insyncWords,
  isAlone,
  type VolumeChange,
  type VolumeMember,
  type VolumeMode,
  VolumeRegister,
} from "./volume.ts";

const uuid = (n: number) =>
  `00000000-0000-4000-8000-${`${n}`.padStart(12, "0")}`;
const member = (node: number, boot?: number, disk = node): VolumeMember => ({
  node,
  name: `host-${node}`,
  disk: `${disk}`.padStart(16, "A"),
  ...(boot === undefined ? {} : { boot: uuid(boot) }),
});
const [A, B] = [member(1, 11), member(2, 22)];

let requests = 0;
function apply(register: VolumeRegister, change: VolumeChange) {
  return changeVolumeRegister(register, change, uuid(1000 + ++requests));
}

/** @throws When it is refused. */
function done(register: VolumeRegister, change: VolumeChange): VolumeRegister {
  const result = apply(register, change);
  assert(result.ok, JSON.stringify(result));
  return VolumeRegister.parse(result.register);
}

function refusal(register: VolumeRegister, change: VolumeChange) {
  const result = apply(register, change);
  return result.ok ? undefined : result.refusal;
}

function created(mode: VolumeMode = "C"): VolumeRegister {
  const about = {
    resource: "mysql",
    volume: 0,
    gen: uuid(1),
    request: uuid(2),
  };
  const change = { kind: "create", member: A, mode, above: 0 } as const;
  return createVolumeRegister(about, change);
}

/** A is Primary, both are in sync. */
function both(mode: VolumeMode = "C"): VolumeRegister {
  return done(created(mode), { kind: "grow", member: A, peer: B });
}

Deno.test("the first Primary makes the register and is in sync alone", () => {
  const register = created();
  assert.equal(register.epoch, 1);
  assert(isAlone(register, A.node, A.disk));
  assert.equal(
    refusal(register, { kind: "create", member: B, mode: "C", above: 0 }),
    "exists",
  );
});

Deno.test("a register that was lost begins above what the copy knows", () => {
  const about = {
    resource: "mysql",
    volume: 0,
    gen: uuid(1),
    request: uuid(2),
  };
  const register = createVolumeRegister(about, {
    kind: "create",
    member: A,
    mode: "C",
    above: 41,
  });
  assert.equal(register.epoch, 1041);
  assert.match(register.note, /lost/);
});

Deno.test("promote: in sync only, the next epoch, alone from then on", () => {
  const register = done(both(), { kind: "promote", member: B, mode: "C" });
  assert.equal(register.epoch, 2);
  assert.equal(register.primary, B.node);
  assert(isAlone(register, B.node, B.disk));
  assert.equal(
    refusal(register, { kind: "promote", member: A, mode: "C" }),
    "not-in-sync",
  );
  assert.equal(insyncWords(register), 'node 2 "host-2" (Primary)');
});

Deno.test("promote: not with another disk", () => {
  const other = member(2, 22, 9);
  assert.equal(
    refusal(both(), { kind: "promote", member: other, mode: "C" }),
    "another-disk",
  );
});

Deno.test("promote: another run may lack what it had in memory", () => {
  const rebooted = member(2, 23);
  const change = { kind: "promote", member: rebooted, mode: "C" } as const;
  for (const mode of ["A", "B", "C"] as const) {
    assert.equal(refusal(both(mode), change), "another-boot", mode);
    // Together with a peer in sync nothing is missing.
    assert.equal(refusal(both(mode), { ...change, peer: A }), undefined, mode);
    const stranger = member(3, 33);
    assert.equal(
      refusal(both(mode), { ...change, peer: stranger }),
      "another-boot",
    );
  }
});

Deno.test("promote: the last Primary has everything with A and B, and who is alone", () => {
  const again = { kind: "promote", member: member(1, 12), mode: "B" } as const;
  assert.equal(refusal(both("A"), again), undefined);
  assert.equal(refusal(both("B"), again), undefined);
  assert.equal(refusal(both("C"), again), "another-boot");
  assert.equal(refusal(created("C"), again), undefined);
});

Deno.test("shrink: by the Primary, with the disk that is in sync", () => {
  const register = done(both(), { kind: "shrink", member: A });
  assert.equal(register.epoch, 2);
  assert(isAlone(register, A.node, A.disk));
  assert.equal(refusal(both(), { kind: "shrink", member: B }), "not-primary");
  assert.equal(
    refusal(both(), { kind: "shrink", member: member(1, 11, 9) }),
    "not-in-sync",
  );
});

Deno.test("leave: a Primary without a disk leaves its peer's copy", () => {
  const register = done(both(), { kind: "leave", by: A.node });
  assert.deepEqual(register.insync, [B]);
  assert.equal(register.primary, A.node);
  assert.equal(refusal(register, { kind: "shrink", member: A }), "not-in-sync");
  assert.equal(refusal(created(), { kind: "leave", by: A.node }), "alone");
  // Its disk came back and is equal.
  assert.deepEqual(
    done(register, { kind: "grow", member: A, peer: B }).insync,
    [A, B],
  );
});

Deno.test("grow: by the Primary, under the same epoch, of another node", () => {
  assert.equal(both().epoch, 1);
  assert.equal(
    refusal(created(), { kind: "grow", member: B, peer: A }),
    "not-primary",
  );
  assert.equal(
    refusal(created(), { kind: "grow", member: A, peer: A }),
    "not-primary",
  );
});

Deno.test("demote: all of it is on the disk then; twice is no mistake", () => {
  const register = done(both("B"), { kind: "demote", member: A });
  assert.equal(register.primary, null);
  assert.deepEqual(register.insync, [member(1), B]);
  assert.deepEqual(done(register, { kind: "demote", member: A }), register);
  assert.equal(refusal(both(), { kind: "demote", member: B }), "not-primary");
  const rebooted = member(1, 12);
  assert.equal(
    refusal(register, { kind: "promote", member: rebooted, mode: "B" }),
    undefined,
  );
});

Deno.test("force: far above everything that anybody knows", () => {
  const force = { kind: "force", member: B, mode: "C" } as const;
  assert.equal(done(both(), { ...force, above: 0 }).epoch, 1001);
  const register = done(both(), { ...force, above: 70 });
  assert.equal(register.epoch, 1070);
  assert.equal(register.note, "forced, lossy");
  assert(isAlone(register, B.node, B.disk));
});

Deno.test("no sequence of changes lowers the epoch, or empties the set", () => {
  const anyMember = fc.record({
    node: fc.constantFrom(1, 2, 3),
    boot: fc.constantFrom(11, 22, 33),
    disk: fc.constantFrom(1, 2),
  }).map(({ node, boot, disk }) => member(node, boot, disk));
  const mode = fc.constantFrom("A" as const, "B" as const, "C" as const);
  const above = fc.nat(50);
  const kind = <K extends string>(name: K) => fc.constant(name);
  const anyChange: fc.Arbitrary<VolumeChange> = fc.oneof(
    fc.record({ kind: kind("promote"), member: anyMember, mode }),
    fc.record({ kind: kind("shrink"), member: anyMember }),
    fc.record({ kind: kind("leave"), by: fc.constantFrom(1, 2, 3) }),
    fc.record({ kind: kind("grow"), member: anyMember, peer: anyMember }),
    fc.record({ kind: kind("demote"), member: anyMember }),
    fc.record({ kind: kind("force"), member: anyMember, mode, above }),
  );
  fc.assert(fc.property(fc.array(anyChange, { maxLength: 20 }), (changes) => {
    let register = both();
    for (const change of changes) {
      const result = apply(register, change);
      if (!result.ok) continue;
      const next = VolumeRegister.parse(result.register);
      assert(next.epoch >= register.epoch);
      const isNewRole = next.primary !== register.primary &&
        next.primary !== null;
      if (isNewRole) assert(next.epoch > register.epoch);
      register = next;
    }
  }));
});
